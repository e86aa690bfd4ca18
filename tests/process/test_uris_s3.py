"""checkpoint.uri, inputs and output.uri against a stand-in for S3 (moto), behind a proxy that breaks connections."""

import hashlib
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hantei_api.reasons import Reason
from hantei_api.task import EvaluationTask
from hantei_evaluator.run import copying, sources
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.fetch import Fetched, fetch
from hantei_evaluator.run.inputs import gather, sha256_of
from support.faulty_proxy import FaultyProxy, faulty_proxy
from support.s3_stand_in import S3StandIn, s3_stand_in

BODY = random.Random(1).randbytes(3_000_000)
KEY = "runs/checkpoint_ts10000.pth"
OBJECT = f"GET /training/{KEY}"
PIECE_BYTES = 1 << 20


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3StandIn]:
    with s3_stand_in(tmp_path_factory.mktemp("s3")) as stand_in:
        yield stand_in


@pytest.fixture
def proxy(s3: S3StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    monkeypatch.setattr(copying, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(sources, "PIECE_BYTES", PIECE_BYTES)
    with faulty_proxy(s3.port) as running:
        for name, value in s3.environment(running.port).items():
            monkeypatch.setenv(name, value)
        running.only = OBJECT
        yield running


@pytest.fixture
def uri(s3: S3StandIn) -> str:
    return s3.put(KEY, BODY)


def fetched(uri: str, directory: Path, limit_bytes: int | None = None) -> Fetched:
    return fetch("checkpoint", uri, directory / "fetched", limit_bytes)


def refused(uri: str, directory: Path, limit_bytes: int | None = None) -> EvaluationError:
    with pytest.raises(EvaluationError) as raised:
        fetched(uri, directory, limit_bytes)
    left = [path for path in directory.rglob("*") if path.is_file()]
    assert not left
    return raised.value


def ranges(proxy: FaultyProxy) -> list[int]:
    """First bytes of the ranges that were asked for."""
    return [int(found[1]) for each in proxy.requests if (found := re.match(rf"{OBJECT} bytes=(\d+)-", each))]


def test_a_checkpoint_comes_whole_out_of_the_s3_stand_in(tmp_path: Path, proxy: FaultyProxy, uri: str) -> None:
    found = fetched(uri, tmp_path)

    assert found.path.name == "checkpoint_ts10000.pth"
    assert found.path.read_bytes() == BODY
    assert found.sha256 == hashlib.sha256(BODY).hexdigest()


def test_a_cut_connection_to_the_s3_stand_in_is_continued_where_it_stopped(
    tmp_path: Path, proxy: FaultyProxy, uri: str
) -> None:
    proxy.cut_after_bytes, proxy.cuts = 700_000, 1

    found = fetched(uri, tmp_path)

    assert found.path.read_bytes() == BODY
    assert proxy.answered_bytes < 1.4 * len(BODY)
    assert ranges(proxy).count(0) == 2
    assert ranges(proxy) == sorted(ranges(proxy))


def test_a_proxy_that_cuts_every_answer_only_makes_the_pieces_smaller(
    tmp_path: Path, proxy: FaultyProxy, uri: str
) -> None:
    proxy.cut_after_bytes = 400_000

    found = fetched(uri, tmp_path)

    assert found.path.read_bytes() == BODY


@pytest.mark.parametrize("broken", [{"cut_after_bytes": 100}, {"statuses": [503] * 99}, {"statuses": [500] * 99}])
def test_a_server_that_never_answers_is_given_up_after_five_tries(
    tmp_path: Path, proxy: FaultyProxy, uri: str, broken: dict[str, Any]
) -> None:
    for name, value in broken.items():
        setattr(proxy, name, value)

    error = refused(uri, tmp_path)

    assert (error.reason, error.exit_code) == (Reason.SOURCE_UNAVAILABLE, 69)
    assert "5 tries brought nothing" in str(error)
    assert "See whether the server can be reached" in str(error)


def test_a_silent_server_is_given_up(
    tmp_path: Path, proxy: FaultyProxy, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "READ_SECONDS", 0.2)
    proxy.silent = True

    assert "5 tries brought nothing" in str(refused(uri, tmp_path))


def test_two_answers_of_503_cost_two_tries(tmp_path: Path, proxy: FaultyProxy, uri: str) -> None:
    proxy.statuses = [503, 503]

    assert fetched(uri, tmp_path).path.read_bytes() == BODY


def test_an_object_that_is_replaced_meanwhile_comes_whole_from_the_new_one(
    tmp_path: Path, proxy: FaultyProxy, s3: S3StandIn, uri: str
) -> None:
    new = bytes(reversed(BODY))
    proxy.cut_after_bytes, proxy.cuts = 600_000, 1
    proxy.on_cut = lambda: s3.put(KEY, new)

    found = fetched(uri, tmp_path)

    assert found.path.read_bytes() == new
    assert found.sha256 == hashlib.sha256(new).hexdigest()


def test_an_object_that_keeps_changing_is_incomplete(
    tmp_path: Path, proxy: FaultyProxy, s3: S3StandIn, uri: str
) -> None:
    noise = random.Random(2)
    proxy.on_request = lambda: s3.put(KEY, noise.randbytes(800_000))

    error = refused(uri, tmp_path)

    assert error.reason is Reason.CHECKPOINT_INCOMPLETE
    assert "still being written" in str(error)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong-secret-of-the-test"}, "SignatureDoesNotMatch"),
        ({"AWS_ACCESS_KEY_ID": "AKIAWRONGKEYOFTHETEST"}, "InvalidAccessKeyId"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "AWS_ACCESS_KEY_ID is not set here"),
    ],
)
def test_a_wrong_key_says_what_the_secret_must_hold_and_shows_no_key(
    tmp_path: Path, proxy: FaultyProxy, uri: str, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], word: str
) -> None:
    for name, value in changed.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)

    error = refused(uri, tmp_path)

    assert error.reason is Reason.CHECKPOINT_MISSING
    assert "the Secret of credentialsSecretName must hold AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in str(error)
    assert word in str(error)
    assert not [value for value in changed.values() if value and value in str(error)]
    assert len(proxy.requests) < 3, "a wrong key is not tried again"


@pytest.mark.parametrize("absent", ["s3://training/runs/none.pth", "s3://nobucket/a.pth"])
def test_what_is_not_there_is_missing_at_once(tmp_path: Path, proxy: FaultyProxy, absent: str) -> None:
    error = refused(absent, tmp_path)

    assert error.reason is Reason.CHECKPOINT_MISSING
    assert f"{absent} can't be fetched: nothing is there" in str(error)


def test_too_large_an_object_is_refused_before_its_first_byte(tmp_path: Path, proxy: FaultyProxy, uri: str) -> None:
    error = refused(uri, tmp_path, limit_bytes=2_999_999)

    assert error.reason is Reason.STORAGE_FULL
    assert not ranges(proxy)


def test_a_prefix_is_fetched_as_a_folder(tmp_path: Path, proxy: FaultyProxy, s3: S3StandIn, uri: str) -> None:
    s3.put("data/", b"")
    s3.put("data/a.npz", b"1")
    s3.put("data/more/b.npz", b"22")
    s3.put("data-of-others/c.npz", b"333")
    task = EvaluationTask.model_validate(
        {
            "checkpoint": {"uri": uri},
            "inputs": [{"name": "data", "uri": "s3://training/data"}],
            "suite": {"command": {"argv": ["true"]}},
        }
    )

    _, _, inputs = gather(task, tmp_path)

    files = {path.relative_to(inputs / "data").as_posix() for path in (inputs / "data").rglob("*") if path.is_file()}
    assert files == {"a.npz", "more/b.npz"}
    found = fetch("inputs[data]", "s3://training/data/", tmp_path / "again", None)
    assert found.sha256 == sha256_of(inputs / "data")


def test_a_prefix_larger_than_the_cap_is_refused_before_its_first_file(
    tmp_path: Path, proxy: FaultyProxy, s3: S3StandIn
) -> None:
    for name in ("a", "b", "c"):
        s3.put(f"large/{name}", b"x" * 1000)

    error = refused("s3://training/large", tmp_path, limit_bytes=2500)

    assert error.reason is Reason.STORAGE_FULL
    assert "3 files" in str(error)
    assert "3000 bytes" in str(error)


def test_a_key_that_climbs_out_of_the_folder_is_refused(tmp_path: Path, proxy: FaultyProxy, s3: S3StandIn) -> None:
    s3.put("sly/../../escaped", b"x")

    error = refused("s3://training/sly", tmp_path)

    assert error.reason is Reason.INVALID_TASK
    assert "can't be a file's name here" in str(error)
