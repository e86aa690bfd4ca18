"""URIs through the real command line, against a stand-in for S3 (moto) behind a proxy that breaks connections."""

import hashlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hantei_api.reasons import Reason
from hantei_api.result import EvaluationResult
from support.evaluation import WRITE_RESULT, Ended, Evaluation, python_command
from support.faulty_proxy import FaultyProxy, faulty_proxy
from support.s3_stand_in import S3StandIn, s3_stand_in
from support.waiting import START_SECONDS, eventually

BODY = b"weights" * 300_000
DIGEST = hashlib.sha256(BODY).hexdigest()
OUTPUT = "s3://training/results/run/1"
SAY_DIGEST = (
    "import os, hashlib; open(os.environ['HANTEI_OUTPUT'] + '/digest', 'w').write("
    "hashlib.sha256(open(os.environ['HANTEI_CHECKPOINT'], 'rb').read()).hexdigest()); "
)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3StandIn]:
    with s3_stand_in(tmp_path_factory.mktemp("s3")) as stand_in:
        yield stand_in


@pytest.fixture
def proxy(s3: S3StandIn) -> Iterator[FaultyProxy]:
    with faulty_proxy(s3.port) as running:
        yield running


@pytest.fixture
def uri(s3: S3StandIn) -> str:
    return s3.put("runs/a.pth", BODY)


def evaluation(directory: Path, task: dict[str, Any], environment: dict[str, str]) -> Evaluation:
    return Evaluation(directory, {"outputDirectory": None, **task}, environment)


def assert_without_secrets(ended: Ended, environment: dict[str, str]) -> None:
    said = ended.stderr + ended.summary.model_dump_json() + (ended.result.model_dump_json() if ended.result else "")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert environment[name] not in said


def test_a_checkpoint_is_evaluated_though_the_connection_to_the_s3_stand_in_is_cut(
    tmp_path: Path, s3: S3StandIn, proxy: FaultyProxy, uri: str
) -> None:
    proxy.only, proxy.cut_after_bytes, proxy.cuts = "GET /training/runs", 1_000_000, 2
    task = python_command(SAY_DIGEST + WRITE_RESULT, checkpoint={"uri": uri, "sha256": DIGEST})

    ended = Evaluation(tmp_path, task, s3.environment(proxy.port)).wait()

    assert ended.exit_code == 0, ended.stderr
    assert ended.result is not None
    assert ended.result.provenance.checkpoint_sha256 == DIGEST
    assert (tmp_path / "output" / "digest").read_text() == DIGEST
    assert not ended.left_over
    assert_without_secrets(ended, s3.environment())


@pytest.mark.parametrize(
    ("changed", "checkpoint", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong-secret"}, "runs/a.pth", "access is denied (SignatureDoesNotMatch)"),
        ({"AWS_ACCESS_KEY_ID": "AKIAWRONG"}, "runs/a.pth", "access is denied (InvalidAccessKeyId)"),
        ({}, "runs/none.pth", "s3://training/runs/none.pth can't be fetched: nothing is there"),
    ],
)
def test_a_wrong_key_and_an_absent_object_end_with_66_and_nothing_left(
    tmp_path: Path, s3: S3StandIn, uri: str, changed: dict[str, str], checkpoint: str, words: str
) -> None:
    environment = s3.environment() | changed
    task = python_command("pass", checkpoint={"uri": f"s3://training/{checkpoint}"})

    ended = Evaluation(tmp_path, task, environment).wait()

    assert ended.exit_code == 66
    assert ended.summary.reason is Reason.CHECKPOINT_MISSING
    assert words in ended.summary.message
    assert ended.result is not None
    assert not ended.result.complete
    assert not ended.left_over
    assert_without_secrets(ended, environment)


def test_a_checkpoint_with_another_digest_is_refused(tmp_path: Path, s3: S3StandIn, uri: str) -> None:
    task = python_command("pass", checkpoint={"uri": uri, "sha256": "0" * 64})

    ended = Evaluation(tmp_path, task, s3.environment()).wait()

    assert ended.exit_code == 65
    assert DIGEST in ended.summary.message


WHEN_FETCHED = """
import sys
from hantei_api.task import EvaluationTask
from hantei_evaluator.run import evaluate

def choose(*arguments, **more):
    print(*sorted({"torch", "fsspec", "s3fs", "gcsfs", "huggingface_hub"} & set(sys.modules)))
    raise SystemExit

evaluate.choose = choose
evaluate.evaluate(EvaluationTask.model_validate_json(sys.argv[1]))
"""


@pytest.mark.parametrize(("source", "imported"), [("uri", "fsspec s3fs"), ("path", "")])
def test_torch_is_not_even_imported_before_everything_is_fetched(
    tmp_path: Path, s3: S3StandIn, source: str, imported: str, keisei: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = keisei / "checkpoint_ts10000.pth"
    checkpoint = {"uri": s3.put("keisei.pth", file.read_bytes())} if source == "uri" else {"path": str(file)}
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    task = json.dumps({"checkpoint": checkpoint, "suite": {"shogi": {}}})

    ended = subprocess.run(
        [sys.executable, "-c", WHEN_FETCHED, task], capture_output=True, text=True, check=False, cwd=tmp_path
    )

    assert ended.stdout == f"{imported}\n", ended.stderr


def test_results_are_uploaded_with_result_json_last(
    tmp_path: Path, s3: S3StandIn, proxy: FaultyProxy, uri: str
) -> None:
    proxy.only, proxy.statuses = "PUT", [503]
    task = python_command(SAY_DIGEST + WRITE_RESULT, checkpoint={"uri": uri}, outputUri=OUTPUT)

    ended = evaluation(tmp_path, task, s3.environment(proxy.port)).wait()

    assert ended.exit_code == 0, ended.stderr
    assert ended.summary.published
    uploaded = s3.objects("results/run/1/")
    result = EvaluationResult.model_validate_json(uploaded["results/run/1/result.json"])
    assert (result.complete, result.published) == (True, True)
    assert uploaded["results/run/1/digest"].decode() == DIGEST
    puts = [each for each in proxy.requests if each.startswith("PUT")]
    assert puts[-1].partition("?")[0] == "PUT /training/results/run/1/result.json"
    assert len(puts) == len(uploaded) + 1, "the one that was answered 503 went twice"
    assert not ended.left_over


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong-secret"}, "access is denied (SignatureDoesNotMatch)"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "can't be uploaded: EndpointConnectionError"),
    ],
)
def test_results_that_cannot_be_uploaded_cost_no_verdict_and_say_why(
    tmp_path: Path, s3: S3StandIn, changed: dict[str, str], words: str
) -> None:
    environment = s3.environment() | changed
    task = python_command(WRITE_RESULT, outputUri="s3://training/denied/1", limits={"publishSeconds": 4})

    ended = evaluation(tmp_path, task, environment).wait()

    assert ended.exit_code == 0, ended.stderr
    assert ended.summary.reason is Reason.COMPLETED
    assert ended.summary.published is False
    assert words in ended.summary.publish_message
    assert not s3.objects("denied/")
    assert not ended.left_over
    assert_without_secrets(ended, environment)


def test_an_upload_that_hangs_is_given_up_when_publish_seconds_are_over(
    tmp_path: Path, s3: S3StandIn, proxy: FaultyProxy
) -> None:
    proxy.only, proxy.silent = "PUT", True
    task = python_command(WRITE_RESULT, outputUri="s3://training/silent/1", limits={"publishSeconds": 2})

    ended = evaluation(tmp_path, task, s3.environment(proxy.port)).wait()

    assert ended.exit_code == 0, ended.stderr
    assert ended.summary.published is False
    assert "s3://training/silent/1" in ended.summary.publish_message
    assert not s3.objects("silent/")
    assert not ended.left_over


def test_a_killed_pod_leaves_no_result_that_says_complete(tmp_path: Path, s3: S3StandIn) -> None:
    task = python_command("import time; time.sleep(60)", outputUri="s3://training/killed/1")
    running = evaluation(tmp_path, task, s3.environment())
    eventually(lambda: list(running.scratch.glob("*/work")), START_SECONDS)
    running.process.send_signal(signal.SIGKILL)
    running.process.communicate()

    assert not s3.objects("killed/")


def test_a_stopped_pod_uploads_what_it_has_as_incomplete(tmp_path: Path, s3: S3StandIn) -> None:
    task = python_command(
        "import os, time; open(os.environ['HANTEI_OUTPUT'] + '/begun', 'w').close(); time.sleep(60)",
        outputUri="s3://training/stopped/1",
    )
    running = evaluation(tmp_path, task, s3.environment())
    eventually(lambda: list(running.scratch.glob("*/output/begun")), START_SECONDS)
    running.process.terminate()
    ended = running.wait()

    assert ended.exit_code == 75
    uploaded = s3.objects("stopped/1/")
    result = EvaluationResult.model_validate_json(uploaded["stopped/1/result.json"])
    assert (result.reason, result.complete) == (Reason.POD_LOST, False)
    assert "stopped/1/begun" in uploaded


def test_results_are_uploaded_to_a_local_directory(tmp_path: Path) -> None:
    target = tmp_path / "published" / "run" / "1"

    ended = evaluation(tmp_path, python_command(WRITE_RESULT, outputUri=f"file://{target}"), {}).wait()

    assert ended.exit_code == 0, ended.stderr
    assert EvaluationResult.model_validate_json((target / "result.json").read_text()).complete
    assert not [path for path in target.rglob("*") if re.search(r"partial|^\.", path.name)]


def test_an_output_that_nothing_can_be_uploaded_to_is_refused_before_the_evaluation(tmp_path: Path) -> None:
    ended = evaluation(tmp_path, python_command(WRITE_RESULT, outputUri="https://host/results?sig=hidden"), {}).wait()

    assert ended.exit_code == 64
    assert (
        "output.uri: results can't be uploaded to https://host/results; use one of s3, gs, file"
        in ended.summary.message
    )
    assert "hidden" not in ended.stderr
