"""The termination message: always whole, never more than fits, and believed only as far as an evaluator may speak."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hantei_api.metrics import MAX_METRICS, Metric
from hantei_api.names import TERMINATION_MESSAGE_BYTES
from hantei_api.provenance import Provenance, Sla, SlaMetric, SlaReading
from hantei_api.reasons import EVALUATOR_REASONS, Reason, Verdict
from hantei_api.result import EvaluationResult, WandbOutcome, parse_termination_message, to_termination_message

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ACCURACY = Metric(name="accuracy", value=0.942, stderr=0.006, n=360)
LOSS = Metric(name="loss", value=0.25, n=360)


def result(**fields: Any) -> EvaluationResult:
    known: dict[str, Any] = {
        "namespace": "n",
        "run": "r",
        "attempt": 1,
        "suite": "classification",
        "reason": Reason.COMPLETED,
        "complete": True,
        "metrics": [ACCURACY, LOSS],
        "started_at": NOW,
        "finished_at": NOW,
    }
    return EvaluationResult(**{**known, **fields})


def body(**fields: Any) -> dict[str, Any]:
    """A message that is believed, as a dictionary, with some fields changed."""
    return json.loads(to_termination_message(result())) | fields


def test_the_summary_comes_back_as_it_was() -> None:
    full = result(
        message="evaluated",
        verdict=Verdict.PASS,
        samples_done=360,
        samples_total=360,
        provenance=Provenance(device="cpu", seed=1, versions={"torch": "2.13"}),
        wandb=WandbOutcome(synced=False, message="offline"),
        published=True,
        log_tail="bye",
    )
    summary = parse_termination_message(to_termination_message(full))
    assert summary is not None
    shared = summary.model_dump(exclude={"truncated"})
    assert shared == full.model_dump(include=set(shared))
    assert not summary.truncated


def test_metrics_are_rows_and_the_json_is_compact() -> None:
    text = to_termination_message(result())
    assert '"metrics":[["accuracy",0.942,0.006,360],["loss",0.25,null,360]]' in text


def test_the_older_half_of_the_log_goes_first() -> None:
    tail = "".join(f"line {number:04}\n" for number in range(400))
    summary = parse_termination_message(to_termination_message(result(log_tail=tail)))
    assert summary is not None
    assert summary.log_tail
    assert len(summary.log_tail) >= 1000
    assert tail.endswith(summary.log_tail)
    assert summary.metrics == [ACCURACY, LOSS]
    assert not summary.truncated


def test_the_last_metrics_go_when_no_log_is_left() -> None:
    metrics = [Metric(name=f"metric/{number:02}" + "x" * 50, value=number, n=1) for number in range(MAX_METRICS)]
    summary = parse_termination_message(to_termination_message(result(metrics=metrics, log_tail="x" * 4096)))
    assert summary is not None
    assert not summary.log_tail
    assert 0 < len(summary.metrics) < MAX_METRICS
    assert summary.metrics == metrics[: len(summary.metrics)]
    assert summary.truncated


def test_the_end_of_the_message_goes_when_no_metric_is_left() -> None:
    message = "\N{HIRAGANA LETTER A}" * 2048
    summary = parse_termination_message(to_termination_message(result(message=message)))
    assert summary is not None
    assert summary.metrics == []
    assert summary.message
    assert message.startswith(summary.message)


def test_metrics_beyond_what_status_keeps_are_marked_as_dropped() -> None:
    metrics = [Metric(name=f"m{number}", value=0, n=1) for number in range(MAX_METRICS + 1)]
    summary = parse_termination_message(to_termination_message(result(metrics=metrics)))
    assert summary is not None
    assert summary.metrics == metrics[:MAX_METRICS]
    assert summary.truncated


HOSTILE = st.text(st.characters(codec="utf-8"), max_size=2048) | st.sampled_from(
    ["\x00" * 2048, "\U0001f600" * 2048, '"' * 2048, "\\" * 2048, "\u2028" * 2048, "\x7f" * 2048]
)


@given(message=HOSTILE, tail=HOSTILE, publish=HOSTILE, version=HOSTILE, count=st.integers(0, 200))
def test_a_message_is_never_longer_than_its_limit(
    message: str, tail: str, publish: str, version: str, count: int
) -> None:
    versions = {f"{number}{version[:200]}": version[:256] for number in range(16)}
    full = result(
        message=message,
        log_tail=tail,
        publish_message=publish[:512],
        wandb=WandbOutcome(synced=False, message=publish[:512], url=publish[:512]),
        sla=Sla.of([SlaReading(metric=metric, threshold=1, reason=version[:256]) for metric in SlaMetric]),
        provenance=Provenance(image=version[:256], device=version[:256], versions=versions),
        metrics=[Metric(name=f"m{number}", value=number / 3, n=1) for number in range(count)],
    )
    text = to_termination_message(full)
    assert len(text.encode()) <= TERMINATION_MESSAGE_BYTES
    assert parse_termination_message(text) is not None


@pytest.mark.parametrize(
    "text",
    ["", "Traceback (most recent call last):", "null", "3", '"hantei"', "[]", "{}", "[" * 100_000, '{"a":' * 100_000],
    ids=["empty", "log", "null", "number", "string", "list", "object", "deep-list", "deep-object"],
)
def test_what_is_no_summary_is_none(text: str) -> None:
    assert parse_termination_message(text) is None


@pytest.mark.parametrize(
    "change",
    [
        {"hantei": "v2"},
        {"hantei": None},
        {"metrics": None},
        {"metrics": [["accuracy", 0.5, None]]},
        {"metrics": [["accuracy", float("nan"), None, 1]]},
        {"metrics": [["accuracy", float("inf"), None, 1]]},
        {"metrics": [["accuracy", 0.5, float("nan"), 1]]},
        {"metrics": [["accuracy", 0.5, -1, 1]]},
        {"metrics": [["accuracy", 0.5, None, 0]]},
        {"metrics": [["no spaces", 0.5, None, 1]]},
        {"metrics": [["m", 0.5, None, 1]] * (MAX_METRICS + 1)},
        {"reason": "Nonsense"},
        {"message": "x" * 2049},
        {"provenance": {"device": {"deep": "dictionary"}}},
        {"timings": {"evaluateSeconds": -1}},
        {"timings": {"evaluateSeconds": float("inf")}},
        {"timings": {"evaluateSeconds": float("nan")}},
        {"samplesDone": 2**70},
        {"provenance": {"seed": 2**70}},
        {"message": "\ud800"},
        {"sla": {"passed": True, "readings": [{"metric": "latency_seconds", "threshold": 1, "value": float("inf")}]}},
    ],
    ids=lambda change: ascii(change)[:60],
)
def test_a_summary_out_of_bounds_is_none(change: dict[str, Any]) -> None:
    assert parse_termination_message(json.dumps(body())) is not None
    assert parse_termination_message(json.dumps(body(**change))) is None


@pytest.mark.parametrize("reason", Reason)
def test_only_reasons_that_an_evaluator_may_give_are_believed(reason: Reason) -> None:
    believed = parse_termination_message(json.dumps(body(reason=reason)))
    assert (believed is not None) == (reason in EVALUATOR_REASONS)


def test_fields_of_a_newer_evaluator_are_dropped() -> None:
    assert parse_termination_message(json.dumps(body(novelty={"a": 1}))) == parse_termination_message(
        json.dumps(body())
    )


@pytest.mark.parametrize("reason", EVALUATOR_REASONS)
def test_a_result_has_the_exit_code_of_its_reason(reason: Reason) -> None:
    assert result(reason=reason).exit_code == EVALUATOR_REASONS[reason]
