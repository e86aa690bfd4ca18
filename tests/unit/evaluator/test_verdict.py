"""A finished run as baseline, and the verdict and reason that follow from the samples."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hantei_api.metrics import Metric
from hantei_api.reasons import Reason, Verdict
from hantei_api.result import EvaluationResult, parse_termination_message, to_termination_message
from hantei_api.task import EvaluationTask
from hantei_evaluator.run.baseline import Reference, check, check_comparable, open_baseline
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.resume import Identity
from hantei_evaluator.run.session import Ending
from hantei_evaluator.run.values import SampleValues
from hantei_evaluator.run.verdict import interrupted, judged

IDENTITY = Identity(suite="shogi", checkpoint_sha256="b" * 64, seed=0, parts={"rules": "1", "agent.precision": "fp32"})
SUITE = {"shogi": {"strategy": "single_opponent"}}


def task_of(**more: Any) -> EvaluationTask:
    return EvaluationTask.model_validate({"checkpoint": {"path": "a"}, "suite": SUITE} | more)


def values_of(correct: int, n: int, metric: str = "accuracy") -> SampleValues:
    values = SampleValues()
    for number in range(n):
        values.add({"sampleId": f"{number}", "values": {metric: float(number < correct)}})
    return values


def ending_of(values: SampleValues, metric: str = "accuracy") -> Ending:
    numbers = list(values.of(metric).values())
    found = [Metric(name=metric, value=sum(numbers) / len(numbers), stderr=0.01, n=len(numbers))]
    return Ending(Reason.COMPLETED, metrics=[*found, Metric(name="ece", value=0.1, stderr=0.01, n=10)], complete=True)


def reference_of(correct: int, n: int, **more: Any) -> Reference:
    values = values_of(correct, n)
    metrics = {each.name: each for each in ending_of(values).metrics}
    return Reference("run base", metrics, values, **more)


@pytest.fixture
def finished(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Makes the directory of a finished run, and gives the task's baseline that names it."""

    def make(**more: Any) -> dict[str, Any]:
        now = datetime.now(UTC)
        result = EvaluationResult.model_validate(
            {
                "namespace": "team",
                "run": "base",
                "attempt": 1,
                "suite": "shogi",
                "reason": Reason.COMPLETED,
                "complete": True,
                "metrics": [{"name": "score", "value": 0.5, "n": 2}, {"name": "elo_difference", "value": 0.0, "n": 2}],
                "samples_done": 2,
                "samples_total": 2,
                "started_at": now,
                "finished_at": now,
            }
            | more
        )
        (tmp_path / "result.json").write_text(json.dumps(result.to_body()))
        records = [{"sampleId": f"g{number}", "values": {"score": number}} for number in range(2)]
        (tmp_path / "samples.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        (tmp_path / "identity.json").write_text(json.dumps(IDENTITY.to_body()))
        return {"name": "run base", "directory": str(tmp_path)}

    return make


def opened(task: EvaluationTask, tmp_path: Path) -> Reference:
    found = open_baseline(task, tmp_path / "scratch")
    assert isinstance(found, Reference)
    return found


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"gate": {"maxDrop": 0.1}}, "gate.maxDrop needs baseline"),
        ({"baseline": {"name": "x"}}, "baseline names exactly one of directory, checkpoint"),
        (
            {"baseline": {"name": "x", "directory": "d", "checkpoint": {"path": "c"}}},
            "baseline names exactly one of directory, checkpoint",
        ),
        (
            {"suite": {"command": {"argv": ["true"]}}, "baseline": {"name": "x", "checkpoint": {"path": "c"}}},
            "baseline.checkpoint is not for the command suite",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused_before_anything_is_read(more: dict[str, Any], words: str) -> None:
    with pytest.raises(EvaluationError, match=words) as raised:
        check(task_of(**more))
    assert raised.value.reason is Reason.INVALID_TASK


def test_a_finished_run_is_read_with_its_samples(tmp_path: Path, finished: Callable[..., dict[str, Any]]) -> None:
    reference = opened(task_of(baseline=finished()), tmp_path)
    assert reference.values.of("score") == {"g0": 0.0, "g1": 1.0}
    assert reference.identity == IDENTITY


@pytest.mark.parametrize(
    ("found", "gate", "reason", "words"),
    [
        ({"suite": "command"}, None, Reason.INVALID_TASK, "run base is of the suite command, this run of shogi"),
        (
            {"reason": Reason.DEADLINE_EXCEEDED, "complete": False},
            None,
            Reason.INVALID_TASK,
            "run base ended with DeadlineExceeded after 2 of 2 samples: name a run that was completed",
        ),
        ({}, {"metric": "elo_difference", "maxDrop": 1}, Reason.INVALID_TASK, "those that can be compared: score"),
        ({}, {"metric": "accuracy", "maxDrop": 1}, Reason.INVALID_TASK, "has no accuracy to compare with"),
    ],
)
def test_a_run_that_nothing_can_be_compared_with_is_refused_before_the_evaluation(
    tmp_path: Path,
    finished: Callable[..., dict[str, Any]],
    found: dict[str, Any],
    gate: dict[str, Any] | None,
    reason: Reason,
    words: str,
) -> None:
    task = task_of(baseline=finished(**found), gate=gate)
    with pytest.raises(EvaluationError, match=words) as raised:
        open_baseline(task, tmp_path / "scratch")
    assert raised.value.reason is reason


def test_a_baseline_that_is_not_there_says_where_it_was_looked_for(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    for baseline in ({"name": "x", "directory": nowhere}, {"name": "x", "checkpoint": {"path": nowhere}}):
        with pytest.raises(EvaluationError, match=f"{nowhere}: no such file") as raised:
            open_baseline(task_of(baseline=baseline), tmp_path / "scratch")
        assert raised.value.reason is Reason.CHECKPOINT_MISSING


def test_a_baseline_checkpoint_is_verified_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"weights")
    baseline = {"name": "checkpoint", "checkpoint": {"path": str(tmp_path / "c"), "sha256": "0" * 64}}
    with pytest.raises(EvaluationError, match=r"baseline\.checkpoint: SHA-256") as raised:
        open_baseline(task_of(baseline=baseline), tmp_path / "scratch")
    assert raised.value.reason is Reason.CHECKPOINT_INVALID


@pytest.mark.parametrize(
    ("update", "words"),
    [({"seed": 1}, "differs in seed"), ({"parts": {"rules": "2", "agent.precision": "fp32"}}, "differs in rules")],
)
def test_other_samples_under_the_same_ids_are_never_compared(update: dict[str, Any], words: str) -> None:
    with pytest.raises(EvaluationError, match=words):
        check_comparable(IDENTITY.model_copy(update=update), reference_of(1, 2, identity=IDENTITY))


def test_how_a_checkpoint_answers_may_differ() -> None:
    own = IDENTITY.model_copy(
        update={"checkpoint_sha256": "a" * 64, "parts": {"rules": "1", "agent.precision": "bf16"}}
    )
    check_comparable(own, reference_of(1, 2, identity=IDENTITY))


@pytest.mark.parametrize(
    ("own", "theirs", "n", "gate", "verdict", "reason"),
    [
        (500, 900, 1000, {"maxDrop": 0.05}, Verdict.REGRESSED, Reason.GATE_FAILED),
        (500, 900, 1000, None, Verdict.REGRESSED, Reason.COMPLETED),
        (900, 900, 1000, {"maxDrop": 0.05}, Verdict.PASS, Reason.COMPLETED),
        (5, 6, 10, {"maxDrop": 0.05}, Verdict.UNDERPOWERED, Reason.COMPLETED),
        (5, 6, 10, {"maxDrop": 0.05, "onInconclusive": "Fail"}, Verdict.UNDERPOWERED, Reason.GATE_FAILED),
    ],
)
def test_the_verdict_and_the_reason_that_follows(
    own: int, theirs: int, n: int, gate: dict[str, Any] | None, verdict: Verdict, reason: Reason
) -> None:
    values = values_of(own, n)
    task = task_of(baseline={"name": "run base", "directory": "d"}, gate=gate)
    ending = judged(ending_of(values), task, values, reference_of(theirs, n))
    assert (ending.verdict, ending.reason) == (verdict, reason)
    assert ending.comparison is not None
    assert (ending.comparison.metric, ending.comparison.baseline, ending.comparison.n) == ("accuracy", "run base", n)
    assert ending.comparison.difference == pytest.approx((own - theirs) / n)
    assert ending.message.startswith(f"{verdict}: accuracy ")
    assert ending.metrics == ending_of(values).metrics


def test_a_minimum_alone_is_decided_on_the_metrics_own_interval() -> None:
    values = values_of(900, 1000)
    passed = judged(ending_of(values), task_of(gate={"minimum": 0.85}), values, None)
    failed = judged(ending_of(values), task_of(gate={"minimum": 0.95}), values, None)
    assert (passed.verdict, passed.reason) == (Verdict.PASS, Reason.COMPLETED)
    assert (failed.verdict, failed.reason) == (Verdict.REGRESSED, Reason.GATE_FAILED)
    assert passed.comparison is not None
    assert passed.comparison.method == "Wilson"


def test_a_minimum_of_a_metric_without_values_rests_on_its_standard_error() -> None:
    values = values_of(9, 10)
    gate = {"metric": "ece", "minimum": 0.2, "lowerIsBetter": True}
    ending = judged(ending_of(values), task_of(gate=gate), values, None)
    assert (ending.verdict, ending.reason) == (Verdict.PASS, Reason.COMPLETED)
    assert ending.comparison is not None
    assert "reported standard error" in ending.comparison.method


def test_a_metric_that_cannot_be_compared_names_those_that_can() -> None:
    values = values_of(9, 10)
    task = task_of(baseline={"name": "run base", "directory": "d"}, gate={"metric": "ece", "maxDrop": 0.1})
    with pytest.raises(EvaluationError, match=r"ece is not a mean over samples .* those that can: accuracy") as raised:
        judged(ending_of(values), task, values, reference_of(9, 10))
    assert raised.value.reason is Reason.INVALID_TASK


def test_a_metric_that_is_missing_names_those_that_are_there() -> None:
    values = values_of(9, 10)
    with pytest.raises(EvaluationError, match="the evaluation has no metric elo; it has accuracy, ece"):
        judged(ending_of(values), task_of(gate={"metric": "elo", "minimum": 1}), values, None)


def test_results_without_any_samples_are_compared_unpaired_and_say_so() -> None:
    task = task_of(baseline={"name": "run base", "directory": "d"}, gate={"maxDrop": 0.1})
    reference = Reference(
        "run base", {"accuracy": Metric(name="accuracy", value=0.9, stderr=0.01, n=10)}, SampleValues()
    )
    ending = judged(ending_of(values_of(5, 10)), task, SampleValues(), reference)
    assert ending.verdict is Verdict.REGRESSED
    assert ending.comparison is not None
    assert "unpaired" in ending.comparison.method


def test_samples_that_only_one_has_are_said() -> None:
    values = values_of(90, 100)
    task = task_of(baseline={"name": "run base", "directory": "d"})
    ending = judged(ending_of(values), task, values, reference_of(90, 80))
    assert "20 samples that only one of the two has are left out." in ending.message


def test_no_common_sample_is_an_invalid_task() -> None:
    values, other = values_of(9, 10), SampleValues()
    other.add({"sampleId": "z", "values": {"accuracy": 1}})
    reference = Reference("run base", {}, other)
    with pytest.raises(EvaluationError, match="baseline: run base: no sampleId is in both"):
        judged(ending_of(values), task_of(baseline={"name": "run base", "directory": "d"}), values, reference)


def test_pairs_of_games_are_compared_as_pairs() -> None:
    values, other = SampleValues(), SampleValues()
    for pair in range(10):
        for colour in ("black", "white"):
            record = {"sampleId": f"{pair}-{colour}", "pair": pair, "values": {"score": 0.5}}
            values.add(record)
            other.add(record | {"values": {"score": 1.0 if pair % 2 else 0.5}})
    metrics = {"score": Metric(name="score", value=0.5, n=20)}
    ending = Ending(Reason.COMPLETED, metrics=list(metrics.values()), complete=True)
    ended = judged(
        ending, task_of(baseline={"name": "b", "directory": "d"}), values, Reference("run base", metrics, other)
    )
    assert ended.comparison is not None
    assert (ended.comparison.n, ended.comparison.method) == (10, "pentanomial pairs")


@pytest.mark.parametrize("n", [0, 10])
@pytest.mark.parametrize(("gate", "reason"), [("Pass", Reason.COMPLETED), ("Fail", Reason.GATE_FAILED)])
def test_a_baseline_that_was_cut_short_is_underpowered_and_keeps_the_metrics(n: int, gate: str, reason: Reason) -> None:
    values = values_of(500, 1000)
    task = task_of(
        baseline={"name": "checkpoint", "checkpoint": {"path": "c"}}, gate={"maxDrop": 0.1, "onInconclusive": gate}
    )
    reference = Reference("checkpoint b", {}, values_of(n, n), unfinished="the baseline was cut short.")
    ending = judged(ending_of(values), task, values, reference)
    assert (ending.verdict, ending.reason) == (Verdict.UNDERPOWERED, reason)
    assert ending.message == "Underpowered: the baseline was cut short."
    assert (ending.comparison is not None) == (n > 0)
    assert ending.metrics == ending_of(values).metrics


def test_an_end_while_the_baseline_is_evaluated_keeps_what_was_measured() -> None:
    task = task_of(baseline={"name": "checkpoint", "checkpoint": {"path": "c"}})
    evaluated = ending_of(values_of(5, 10))
    late = interrupted(Ending(Reason.DEADLINE_EXCEEDED, "late"), evaluated, task)
    assert (late.reason, late.verdict, late.metrics) == (Reason.COMPLETED, Verdict.UNDERPOWERED, evaluated.metrics)
    hung = interrupted(Ending(Reason.HUNG, "hung"), evaluated, task)
    assert (hung.reason, hung.message, hung.metrics) == (Reason.HUNG, "hung", evaluated.metrics)
    assert interrupted(Ending(Reason.HUNG), None, task).metrics == ()


def test_the_verdict_fits_the_termination_message() -> None:
    values = values_of(500, 1000)
    task = task_of(baseline={"name": "run base", "directory": "d"}, gate={"maxDrop": 0.05})
    ending = judged(ending_of(values), task, values, reference_of(900, 1000, identifier="b" * 256))
    now = datetime.now(UTC)
    result = EvaluationResult(
        namespace="team",
        run="r",
        attempt=1,
        suite="shogi",
        reason=ending.reason,
        message=ending.message,
        complete=True,
        verdict=ending.verdict,
        comparison=ending.comparison,
        metrics=list(ending.metrics) * 32,
        started_at=now,
        finished_at=now,
        log_tail="x" * 4096,
    )
    text = to_termination_message(result)
    summary = parse_termination_message(text)
    assert len(text) <= 3900
    assert summary is not None
    assert (summary.verdict, summary.comparison) == (Verdict.REGRESSED, ending.comparison)


def test_values_are_kept_in_columns_with_gaps() -> None:
    values = SampleValues()
    values.add({"sampleId": "a", "values": {"score": 1}})
    values.add({"sampleId": "b", "values": {"accuracy/cat": 0.5, "score": float("nan")}})
    values.add({"sampleId": "c"})
    values.add({"sampleId": "a", "values": {"score": 7}})
    values.add({"sampleId": "d", "pair": 3, "values": {"score": 2, "note": "no number"}})
    assert len(values) == 4
    assert values.of("score") == {"a": 1.0, "d": 2.0}
    assert values.of("accuracy/cat") == {"b": 0.5}
    assert (values.of("nothing"), values.pairs) == ({}, {"d": "3"})
