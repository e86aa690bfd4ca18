"""EvaluationResult: what the evaluator hands back, whole as a file and in short as the termination message."""

import json
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from hantei_api.base import Output
from hantei_api.gate import Comparison
from hantei_api.metrics import MAX_METRICS, Metric
from hantei_api.names import API_VERSION, TERMINATION_MESSAGE_BYTES, VERSION
from hantei_api.provenance import Provenance, Sla
from hantei_api.reasons import EVALUATOR_REASONS, Reason, Verdict

SUMMARY_KEY = "hantei"
"""First key of a summary: tells it from a log tail that happens to be JSON."""


LAST_TO_GO = ("provenance", "wandb", "publishMessage", "comparison", "sla")
"""What a summary can do without when nothing else is left to shorten; all that remains then is of a fixed size."""


class WandbOutcome(Output):
    """Whether the metrics reached W&B."""

    synced: bool
    message: Annotated[str, StringConstraints(max_length=512)] = ""
    url: Annotated[str, StringConstraints(max_length=512)] | None = None


class Timings(Output):
    """Where the evaluator's time went, in seconds."""

    load_seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """From process start to readiness: inputs fetched, checkpoint loaded."""
    evaluate_seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    publish_seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)


class EvaluationResult(Output):
    """The whole result, written as result.json into the output directory."""

    api_version: Literal["hantei.dev/v1alpha1"] = Field(default=API_VERSION)
    kind: Literal["EvaluationResult"] = "EvaluationResult"
    namespace: str
    run: str
    attempt: int
    suite: str
    training_step: int | None = None
    reason: Reason
    message: Annotated[str, StringConstraints(max_length=2048)] = ""
    complete: bool
    """False when the evaluation was cut short: metrics rest on a part of the samples."""
    verdict: Verdict = Verdict.NONE
    comparison: Comparison | None = None
    metrics: list[Metric] = Field(default_factory=list)
    """The most important first; status keeps the first ones that fit."""
    samples_done: int = Field(default=0, ge=0, le=2**53)
    samples_total: int | None = Field(default=None, ge=0, le=2**53)
    provenance: Provenance = Provenance()
    sla: Sla | None = None
    wandb: WandbOutcome | None = None
    published: bool | None = None
    """Whether result.json and samples.jsonl were written; None when the run has no output."""
    publish_message: Annotated[str, StringConstraints(max_length=512)] = ""
    timings: Timings = Timings()
    started_at: AwareDatetime
    finished_at: AwareDatetime
    log_tail: Annotated[str, StringConstraints(max_length=4096)] | None = None
    """The end of the evaluator's log when it failed."""

    @property
    def exit_code(self) -> int:
        """The process's exit code (sysexits.h)."""
        return EVALUATOR_REASONS[self.reason]


class ResultSummary(Output):
    """The part of a result that fits into a termination message."""

    reason: Reason
    message: Annotated[str, StringConstraints(max_length=2048)] = ""
    complete: bool = True
    verdict: Verdict = Verdict.NONE
    comparison: Comparison | None = None
    metrics: list[Metric] = Field(default_factory=list, max_length=MAX_METRICS)
    truncated: bool = False
    samples_done: int = Field(default=0, ge=0, le=2**53)
    samples_total: int | None = Field(default=None, ge=0, le=2**53)
    provenance: Provenance = Provenance()
    sla: Sla | None = None
    wandb: WandbOutcome | None = None
    published: bool | None = None
    publish_message: Annotated[str, StringConstraints(max_length=512)] = ""
    timings: Timings = Timings()
    log_tail: Annotated[str, StringConstraints(max_length=4096)] | None = None


def to_termination_message(result: EvaluationResult, *, limit_bytes: int = TERMINATION_MESSAGE_BYTES) -> str:
    """The result as compact JSON of at most ``limit_bytes``, metrics as rows [name, value, stderr, n].

    What does not fit goes in this order: the older half of the log tail, again and again; then the least important
    (last) metrics, with ``truncated`` set; then the message's end; at the very last whole parts that a hostile image
    could have filled: provenance, W&B's outcome, the publish message, the service level readings.
    """
    summary = ResultSummary.model_validate(result.model_dump() | {"metrics": result.metrics[:MAX_METRICS]})
    metrics = [_row(metric) for metric in summary.metrics]
    body = (
        {SUMMARY_KEY: VERSION}
        | summary.to_body()
        | {"metrics": metrics, "truncated": len(result.metrics) > MAX_METRICS}
    )
    while len(text := _compact(body)) > limit_bytes:
        if tail := body.get("logTail"):
            body["logTail"] = tail[(len(tail) + 1) // 2 :]
        elif metrics:
            body["truncated"] = True
            metrics.pop()
        elif message := body.get("message"):
            body["message"] = message[: len(message) // 2]
        else:
            del body[next(part for part in LAST_TO_GO if part in body)]
    return text


def parse_termination_message(text: str) -> ResultSummary | None:
    """The summary in a termination message, or None when the message is something else (a log tail).

    The message comes out of the user's image: bounds are checked here, and a summary with a reason that no evaluator
    may give is taken for none at all.
    """
    try:
        body = json.loads(text)
        if body.pop(SUMMARY_KEY) != VERSION:
            return None
        rows = body.pop("metrics")
        metrics = [Metric(name=name, value=value, stderr=stderr, n=n) for name, value, stderr, n in rows]
        summary = ResultSummary.model_validate(body | {"metrics": metrics})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return summary if summary.reason in EVALUATOR_REASONS else None


def _row(metric: Metric) -> list[str | float | int | None]:
    return [metric.name, metric.value, metric.stderr, metric.n]


def _compact(body: dict[str, Any]) -> str:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=True)
