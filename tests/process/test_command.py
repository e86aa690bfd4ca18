"""The command suite, as processes."""

import json
import os
import sys
from pathlib import Path

import pytest

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.statistics.intervals import proportion_standard_error
from hantei_evaluator.suites.command import MAX_RESULT_BYTES, read_result
from hantei_evaluator.suites.command_samples import SamplesFile
from support.evaluation import WRITE_RESULT, evaluate, python_command
from support.suites import Recorder

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


def read_samples(path: Path, *, torn: bool = False) -> tuple[SamplesFile, Recorder]:
    recorder = Recorder()
    samples = SamplesFile(path, recorder)
    samples.read()
    samples.close(torn=torn)
    return samples, recorder


def test_samples_are_recorded_with_their_values_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text('{"sampleId": "a", "values": {"accuracy": true, "loss": 2}, "text": "ä"}\n\n{"sampleId": "b"}')

    samples, recorder = read_samples(path)

    assert recorder.recorded == [
        {"sampleId": "a", "values": {"accuracy": 1.0, "loss": 2.0}, "text": "ä"},
        {"sampleId": "b", "values": {}},
    ]
    assert recorder.last == (2, None)
    assert samples.problem == ""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("no json", "line 2 is no JSON"),
        ('{"sampleId": "x", "values": {"loss": NaN}}', "NaN is no number"),
        ('{"values": {"loss": 1}}', "line 2: sampleId: Field required"),
        ('{"sampleId": "x", "values": {"loss": "high"}}', "line 2: values.loss"),
        ('{"sampleId": "x", "values": {"no metric": 1}}', "line 2: values.no metric"),
        ('{"sampleId": "a"}', "line 2: sampleId a was there before"),
        ("[1]", "line 2: "),
        ("[" * 100_000, "longer than 64000 bytes"),
    ],
)
def test_a_line_that_is_no_sample_costs_itself_alone_and_says_why(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(f'{{"sampleId": "a", "values": {{"loss": 1}}}}\n{line}')

    samples, recorder = read_samples(path)

    assert [record["sampleId"] for record in recorder.recorded] == ["a"]
    assert words in samples.problem
    assert "1 of 2 lines are no samples" in samples.problem
    assert [(metric.name, metric.value, metric.n) for metric in samples.metrics()] == [("loss", 1.0, 1)]


def test_half_a_line_of_a_stopped_program_is_no_problem(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text('{"sampleId": "a"}\n{"sampl')

    samples, recorder = read_samples(tmp_path / "samples.jsonl", torn=True)

    assert len(recorder.recorded) == 1
    assert samples.problem == ""


def test_a_pipe_or_a_link_as_samples_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/passwd")

    for name in ("fifo", "link"):
        samples, recorder = read_samples(tmp_path / name)
        assert not recorder.recorded
        assert "HANTEI_SAMPLES" in samples.problem


def test_the_means_of_samples_have_their_errors(tmp_path: Path) -> None:
    lines = [{"sampleId": str(i), "values": {"accuracy": i % 4 > 0, "loss": float(i)}} for i in range(8)]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    samples, _ = read_samples(tmp_path / "samples.jsonl")

    accuracy, loss = samples.metrics()
    assert (accuracy.value, accuracy.n) == (0.75, 8)
    assert accuracy.stderr == pytest.approx(proportion_standard_error(6, 8))
    assert loss.value == 3.5
    # s / sqrt(n) of 0 ... 7: s² = 6.
    assert loss.stderr == pytest.approx((6 / 8) ** 0.5)


WRITE_SAMPLES = (
    "import os, json, time, sys; f = open(os.environ['HANTEI_SAMPLES'], 'a'); "
    "[print(json.dumps({'sampleId': str(i), 'values': {'accuracy': i % 2}}), file=f, flush=True) for i in range(10)]; "
)


def test_a_command_without_a_result_is_the_mean_of_its_samples(tmp_path: Path) -> None:
    ended = evaluate(tmp_path, python_command(WRITE_SAMPLES + "print('{', file=f, flush=True)"))

    assert ended.exit_code == 0, ended.stderr
    assert [(metric.name, metric.value, metric.n) for metric in ended.summary.metrics] == [("accuracy", 0.5, 10)]
    assert "1 of 11 lines are no samples" in ended.summary.message
    lines = (tmp_path / "output" / "samples.jsonl").read_text().splitlines()
    assert [json.loads(line)["sampleId"] for line in lines] == [str(number) for number in range(10)]
    assert ended.summary.samples_done == 10


def test_at_the_deadline_the_samples_so_far_are_the_partial_result(tmp_path: Path) -> None:
    task = python_command(WRITE_SAMPLES + "time.sleep(60)", limits={"runSeconds": 1.5})

    ended = evaluate(tmp_path, task)

    assert (ended.exit_code, ended.summary.reason) == (75, Reason.DEADLINE_EXCEEDED)
    assert not ended.summary.complete
    assert [(metric.name, metric.value, metric.n) for metric in ended.summary.metrics] == [("accuracy", 0.5, 10)]
