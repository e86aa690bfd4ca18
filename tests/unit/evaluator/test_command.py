"""The command suite, as processes."""

import json
import os
import sys
from pathlib import Path

import pytest

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.command import MAX_RESULT_BYTES, read_result
from support.evaluation import WRITE_RESULT, evaluate, python_command

pytestmark = pytest.mark.timeout(30)


def test_a_command_hands_its_metrics_over(tmp_path: Path) -> None:
    ended = evaluate(tmp_path, python_command(WRITE_RESULT))

    assert ended.exit_code == 0, ended.stderr
    assert ended.summary.reason is Reason.COMPLETED
    assert ended.summary.complete
    assert ended.summary.published
    assert [(metric.name, metric.value, metric.stderr, metric.n) for metric in ended.summary.metrics] == [
        ("accuracy", 0.5, 0.1, 10)
    ]
    assert ended.result is not None
    assert ended.result.metrics == ended.summary.metrics
    assert ended.result.provenance.device == "cpu"
    assert ended.left_over == []


def test_a_command_is_told_where_everything_is(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    code = (
        WRITE_RESULT
        + "e = os.environ; json.dump({k: v for k, v in e.items() if k.startswith('HANTEI_')}, open(e['HANTEI_OUTPUT'] + '/env', 'w')); "
        "assert os.path.isdir(e['HANTEI_INPUTS'] + '/data'); assert os.listdir(e['HANTEI_SCRATCH']) == ['result.json']"
    )
    task = python_command(code, seed=7, limits={"runSeconds": 20}, inputs=[{"name": "data", "path": str(data)}])

    ended = evaluate(tmp_path, task)

    assert ended.exit_code == 0, ended.stderr
    environment = json.loads((tmp_path / "output" / "env").read_text())
    assert environment["HANTEI_CHECKPOINT"] == str(tmp_path / "checkpoint")
    assert environment["HANTEI_SEED"] == "7"
    assert 15 < float(environment["HANTEI_DEADLINE_SECONDS"]) <= 20


@pytest.mark.parametrize(
    ("code", "reason", "exit_code", "words"),
    [
        ("import sys; print('the last words'); sys.exit(3)", Reason.EVALUATOR_ERROR, 70, "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", Reason.EVALUATOR_ERROR, 70, "SIGKILL"),
        ("pass", Reason.METRICS_UNAVAILABLE, 70, "without writing the file named by HANTEI_RESULT"),
    ],
)
def test_a_command_that_fails_says_how(tmp_path: Path, code: str, reason: Reason, exit_code: int, words: str) -> None:
    ended = evaluate(tmp_path, python_command(code))

    assert (ended.exit_code, ended.summary.reason) == (exit_code, reason)
    assert words in ended.summary.message
    assert not ended.summary.complete
    if "last words" in code:
        assert "the last words" in (ended.summary.log_tail or "")
    assert ended.left_over == []


def test_a_program_that_is_not_there_is_an_invalid_task(tmp_path: Path) -> None:
    ended = evaluate(tmp_path, {"suite": {"command": {"argv": ["no-such-program"]}}})

    assert (ended.exit_code, ended.summary.reason) == (64, Reason.INVALID_TASK)
    assert "suite.command.argv[0]: no-such-program can't be started" in ended.summary.message


def test_arguments_reach_the_program_without_a_shell(tmp_path: Path) -> None:
    argument = "$(touch /tmp/never); *"
    code = WRITE_RESULT + f"import sys; assert sys.argv[1] == {argument!r}"

    ended = evaluate(tmp_path, {"suite": {"command": {"argv": [sys.executable, "-c", code, argument]}}})

    assert ended.exit_code == 0, ended.stderr


def test_a_chatty_command_does_not_block(tmp_path: Path) -> None:
    code = (
        WRITE_RESULT + "import sys; [print('x' * 1000, file=f) for f in (sys.stdout, sys.stderr) for _ in range(3000)]"
    )

    assert evaluate(tmp_path, python_command(code)).exit_code == 0


def test_a_daemon_that_slips_away_is_killed(tmp_path: Path) -> None:
    code = (
        WRITE_RESULT
        + "import subprocess; p = subprocess.Popen(['sleep', '600'], start_new_session=True); "
        + "open(os.environ['HANTEI_OUTPUT'] + '/pid', 'w').write(str(p.pid))"
    )

    ended = evaluate(tmp_path, python_command(code))

    assert ended.exit_code == 0, ended.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "output" / "pid").read_text()), 0)


def test_secrets_stay_out_of_the_log_tail_and_the_message(tmp_path: Path) -> None:
    secret = "s3cr3t-value-of-the-key"
    code = "import os; print('key is', os.environ['SOME_API_KEY']); raise SystemExit(1)"

    ended = evaluate(tmp_path, python_command(code), {"SOME_API_KEY": secret})

    assert "key is ***" in (ended.summary.log_tail or "")
    assert secret not in (tmp_path / "termination-log").read_text() + (tmp_path / "output" / "result.json").read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ('{"metrics": []}', "metrics: List should have at least 1 item"),
        ('{"metrics": [{"name": "a", "value": NaN, "n": 1}]}', "metrics.0.value"),
        ('{"metrics": [{"name": "a", "value": 1e999, "n": 1}]}', "metrics.0.value"),
        ('{"metrics": [{"name": "a", "value": 1, "n": 0}]}', "metrics.0.n"),
        ('{"metrics": [{"name": "a", "value": 1}]}', "metrics.0.n: Field required"),
        ('{"metrics": [{"name": "a b", "value": 1, "n": 1}]}', "metrics.0.name"),
        ("[1]", "task: Input should be"),
        ("x" * (MAX_RESULT_BYTES + 1), f"{MAX_RESULT_BYTES} is the most"),
    ],
)
def test_a_result_that_is_no_evidence_says_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)

    with pytest.raises(EvaluationError) as raised:
        read_result(path)

    assert raised.value.reason is Reason.METRICS_UNAVAILABLE
    assert words.replace("task:", "") in str(raised.value)


def test_a_pipe_or_a_link_as_result_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/passwd")

    for name in ("fifo", "link"):
        with pytest.raises(EvaluationError) as raised:
            read_result(tmp_path / name)
        assert raised.value.reason is Reason.METRICS_UNAVAILABLE
