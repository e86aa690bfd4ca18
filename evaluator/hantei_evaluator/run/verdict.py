"""What the samples say against the baseline and the gate, and the reason that follows from it."""

from collections.abc import Sequence
from dataclasses import replace

from hantei_api.gate import Gate, OnInconclusive
from hantei_api.metrics import Metric
from hantei_api.reasons import Reason, Verdict
from hantei_api.task import EvaluationTask
from hantei_evaluator.run.baseline import Reference, deciding_metric
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.session import Ending
from hantei_evaluator.run.values import SampleValues
from hantei_evaluator.statistics.comparison import (
    Difference,
    Estimate,
    compare,
    compare_reported,
    estimate,
    reported,
)
from hantei_evaluator.statistics.gates import Decision, decide

_INCONCLUSIVE = (Verdict.NOT_SIGNIFICANT, Verdict.UNDERPOWERED)


def judged(ending: Ending, task: EvaluationTask, values: SampleValues, reference: Reference | None) -> Ending:
    """The ending of a completed evaluation with its verdict: Completed, or GateFailed.

    Raises InvalidTask when the metric that is to decide can't.
    """
    metric = deciding_metric(task.gate, [each.name for each in ending.metrics], values, "the evaluation")
    if reference is not None and reference.unfinished and not reference.values.of(metric):
        return too_late(ending, task, reference.unfinished)
    decision = _decide(metric, ending.metrics, task, values, reference)
    if reference is not None and reference.unfinished:
        late = too_late(ending, task, reference.unfinished)
        return replace(late, comparison=decision.comparison)
    return _reasoned(
        replace(
            ending,
            verdict=decision.verdict,
            comparison=decision.comparison,
            message=_joined(decision.message, ending.message),
        ),
        task.gate,
    )


def too_late(ending: Ending, task: EvaluationTask, why: str) -> Ending:
    """The ending of a completed evaluation whose baseline was not evaluated in time: its metrics are kept."""
    return _reasoned(
        replace(ending, verdict=Verdict.UNDERPOWERED, message=_joined(f"Underpowered: {why}", ending.message)),
        task.gate,
    )


def interrupted(ending: Ending, evaluated: Ending | None, task: EvaluationTask) -> Ending:
    """An ending that came when the checkpoint itself was ``evaluated`` already: what that measured is kept."""
    if evaluated is None:
        return ending
    if ending.reason is Reason.DEADLINE_EXCEEDED:
        return too_late(evaluated, task, "the time ran out before the baseline was evaluated.")
    return replace(evaluated, reason=ending.reason, message=ending.message)


def _decide(
    metric: str,
    metrics: Sequence[Metric],
    task: EvaluationTask,
    values: SampleValues,
    reference: Reference | None,
) -> Decision:
    confidence = task.gate.confidence if task.gate is not None else 0.95
    measured = next(each for each in metrics if each.name == metric)
    own = values.of(metric)
    value = (
        estimate(own, values.pairs, confidence=confidence, seed=task.seed)
        if own
        else reported(measured.value, measured.stderr, measured.n, confidence=confidence)
    )
    against = None if reference is None else _difference(metric, value, values, reference, task.seed)
    if reference is None or against is None:
        return decide(metric, value, gate=task.gate)
    decision = decide(metric, value, against, task.gate, reference.name)
    comparison = decision.comparison.model_copy(update={"baseline": reference.identifier or reference.name})
    left_out = f" {against.left_out} samples that only one of the two has are left out." if against.left_out else ""
    return replace(decision, comparison=comparison, message=decision.message + left_out)


def _difference(metric: str, value: Estimate, values: SampleValues, reference: Reference, seed: int) -> Difference:
    own, theirs = values.of(metric), reference.values.of(metric)
    if own and theirs:
        try:
            return compare(own, theirs, values.pairs, confidence=value.confidence, seed=seed)
        except ValueError as error:
            raise EvaluationError(Reason.INVALID_TASK, f"baseline: {reference.name}: {error}.") from error
    able = [name for name in values.metrics if name in reference.values.metrics]
    if able:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"gate.metric: {metric} is not a mean over samples and can't be compared with {reference.name}; "
            f"those that can: {', '.join(able[:20])}.",
        )
    if metric not in reference.metrics:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"baseline: {reference.name} has no metric {metric}; it has {', '.join(reference.metrics) or 'none'}.",
        )
    other = reference.metrics[metric]
    return compare_reported(value, reported(other.value, other.stderr, other.n, confidence=value.confidence))


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _reasoned(ending: Ending, gate: Gate | None) -> Ending:
    failed = gate is not None and (
        ending.verdict is Verdict.REGRESSED
        or (ending.verdict in _INCONCLUSIVE and gate.on_inconclusive is OnInconclusive.FAIL)
    )
    return replace(ending, reason=Reason.GATE_FAILED) if failed else ending
