"""Pure edits of a run's status: conditions, attempts, the end."""

import math
from datetime import datetime
from typing import Any

from hantei_api.metrics import Metric
from hantei_api.provenance import Provenance
from hantei_api.reasons import FACTS, Reason, Verdict
from hantei_api.result import ResultSummary
from hantei_api.spec import OutputTarget
from hantei_api.status import (
    Attempt,
    ClockReadings,
    Condition,
    ConditionType,
    Failure,
    Phase,
    ResultsLocation,
    RunStatus,
)
from hantei_operator.domain.budgets import queued_seconds, seconds
from hantei_operator.domain.classify import Ending
from hantei_operator.domain.facts import PodFacts, RunFacts

MESSAGE_CHARACTERS = 2048
LOG_TAIL_CHARACTERS = 4096
SCORE_CHARACTERS = 64


def edit(status: RunStatus, **changes: Any) -> RunStatus:
    """A copy with some fields changed."""
    return status.model_copy(update=changes)


def with_condition(
    status: RunStatus,
    run: RunFacts,
    now: datetime,
    kind: ConditionType,
    *,
    value: bool,
    reason: str,
    message: str = "",
) -> RunStatus:
    """A copy with one condition set; its transition time changes only when its status does."""
    old = status.condition(kind)
    word = str(value)
    condition = Condition(
        type=kind,
        status=word,
        reason=reason,
        message=message[:MESSAGE_CHARACTERS],
        last_transition_time=old.last_transition_time if old is not None and old.status == word else now,
        observed_generation=run.generation,
    )
    others = [each for each in status.conditions if each.type is not kind]
    order = list(ConditionType)
    conditions = sorted([*others, condition], key=lambda each: order.index(each.type))
    return edit(status, conditions=conditions, observed_generation=run.generation)


def with_attempt(status: RunStatus, attempt: Attempt) -> RunStatus:
    """A copy with the current (last) attempt replaced."""
    return edit(status, attempts=[*status.attempts[:-1], attempt])


def finished(run: RunFacts, status: RunStatus, now: datetime, reason: Reason, message: str) -> RunStatus:
    """The end of a run: phase, reason, message and Finished, set once."""
    succeeded = reason in {Reason.COMPLETED, Reason.GATE_FAILED}
    text = message[:MESSAGE_CHARACTERS]
    if not succeeded:
        advice = FACTS[reason].advice
        words = message[: MESSAGE_CHARACTERS - len(advice) - 2].rstrip(". ")
        if advice not in text:  # the evaluator may have said it already
            text = f"{words}. {advice}" if words else advice
    clocks = status.clocks or ClockReadings()
    status = edit(
        status,
        phase=Phase.SUCCEEDED if succeeded else Phase.FAILED,
        reason=reason,
        message=text,
        verdict=status.verdict or Verdict.NONE,
        clocks=clocks.model_copy(update={"queued": round(queued_seconds(status, run.created_at, now), 3)}),
        queue_position=None,
        queued_since=None,
        progress=status.progress if succeeded else None,
        finished_at=now,
    )
    if status.condition(ConditionType.CAPACITY_RESERVED) is not None:
        status = with_condition(status, run, now, ConditionType.CAPACITY_RESERVED, value=False, reason="Released")
    return with_condition(status, run, now, ConditionType.FINISHED, value=True, reason=reason.value, message=text)


def with_result(run: RunFacts, status: RunStatus, now: datetime, pod: PodFacts | None, ending: Ending) -> RunStatus:
    """What the attempt left: metrics, provenance, SLA, where results are, and on failure the evidence."""
    summary = ending.summary
    if summary is not None:
        status = _with_summary(run, status, now, summary)
    if pod is not None and pod.container.image_digest:
        provenance = status.provenance or Provenance()
        status = edit(
            status,
            provenance=provenance.model_copy(
                update={"image": pod.container.image[-256:] or None, "image_digest": pod.container.image_digest[-256:]}
            ),
        )
    if ending.reason not in {Reason.COMPLETED, Reason.GATE_FAILED}:
        tail = (ending.log_tail or "")[-LOG_TAIL_CHARACTERS:]
        node = pod.node if pod is not None and pod.node else None
        status = edit(
            status, failure=Failure(exit_code=ending.exit_code, reason=ending.reason, node=node, log_tail=tail or None)
        )
    return status


def _with_summary(run: RunFacts, status: RunStatus, now: datetime, summary: ResultSummary) -> RunStatus:
    status = edit(
        status,
        metrics=summary.metrics,
        metrics_truncated=summary.truncated or None,
        metrics_partial=(not summary.complete) or None,
        score=score(summary.metrics),
        verdict=summary.verdict,
        comparison=summary.comparison,
        provenance=summary.provenance,
        sla=summary.sla,
    )
    output = run.spec.output if run.spec else None
    if output is not None and summary.published is not None:
        status = edit(status, results=_results(run, output, status.attempts[-1].number, summary))
        reason = "Published" if summary.published else Reason.PUBLISH_TIMEOUT.value
        status = with_condition(
            status,
            run,
            now,
            ConditionType.RESULTS_PUBLISHED,
            value=summary.published,
            reason=reason,
            message=summary.publish_message,
        )
    if summary.wandb is not None:
        reason = "Synced" if summary.wandb.synced else "NotSynced"
        status = with_condition(
            status,
            run,
            now,
            ConditionType.WANDB_SYNCED,
            value=summary.wandb.synced,
            reason=reason,
            message=summary.wandb.message,
        )
    return status


def _results(run: RunFacts, output: OutputTarget, attempt: int, summary: ResultSummary) -> ResultsLocation:
    parts = results_parts(run, attempt)
    return ResultsLocation(
        claim_name=output.pvc.claim_name if output.pvc else None,
        path="/".join([*filter(None, [(output.pvc.path or "").strip("/")]), *parts]) if output.pvc else None,
        uri="/".join([output.uri.rstrip("/"), *parts]) if output.uri else None,
        complete=summary.complete,
        wandb_url=summary.wandb.url if summary.wandb else None,
    )


def results_parts(run: RunFacts, attempt: int) -> list[str]:
    """An attempt's directory below the output's own: a stranded attempt can't overwrite a newer one."""
    return [run.namespace, run.name, f"attempt-{attempt}"]


def score(metrics: list[Metric]) -> str | None:
    """The first metric with its standard error, to the decimal place of the error's first digit: ``0.961±0.010``."""
    if not metrics:
        return None
    first = metrics[0]
    if not first.stderr:
        return f"{first.value:.4g}"
    places = min(6, max(0, -math.floor(math.log10(first.stderr))))
    text = f"{first.value:.{places}f}±{first.stderr:.{places}f}"
    return text if len(text) <= SCORE_CHARACTERS else f"{first.value:.4g}±{first.stderr:.2g}"


def result_message(status: RunStatus) -> str:
    """One line for a good end: the first metric by name, from how many samples, and which service levels were missed."""
    first = status.metrics[0]
    text = f"{first.name} {status.score} (n = {first.n}), computed on {_device(status)}"
    missed = [
        f"{each.metric} {each.value:.4g} is over its threshold of {each.threshold:.4g}"
        for each in (status.sla.readings if status.sla else ())
        if each.violated
    ]
    return f"{text}; service level missed: {', '.join(missed)}" if missed else text


def _device(status: RunStatus) -> str:
    return (status.provenance.device if status.provenance else None) or "an unnamed device"


def duration(attempt: Attempt) -> str:
    """Seconds from the pod's binding to its end, for kubectl get."""
    return f"{seconds(attempt.scheduled_at, attempt.ended_at):.0f}s"
