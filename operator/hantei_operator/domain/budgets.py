"""Clocks, GPU-seconds and retries: what a run has used up, and what is left."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from hantei_api.reasons import FACTS, Budget, Reason
from hantei_api.spec import EvaluationRunSpec, OnPreemption
from hantei_api.status import MAX_ATTEMPTS, Attempt, ClockReadings, GpuSeconds, RunStatus

MAX_FREE_RETRIES = 20
RETRY_BASE_SECONDS = 5.0
RETRY_CAP_SECONDS = 60.0


def seconds(start: datetime | None, end: datetime | None) -> float:
    """Seconds from start to end; 0 when either is unknown, or when two clocks disagree about the order."""
    if start is None or end is None:
        return 0.0
    return max(0.0, (end - start).total_seconds())


def queued_seconds(status: RunStatus, created_at: datetime, now: datetime) -> float:
    """The queue clock: all waits so far. A suspended run's stands still."""
    clocks = status.clocks or ClockReadings()
    since = status.queued_since if status.conditions else created_at
    return clocks.queued + seconds(since, now)


def spent_wall_seconds(attempts: Iterable[Attempt]) -> float:
    """Wall that suspends and preemptions have used: a budget adds up over them, or a run could go on for ever."""
    return sum(
        seconds(attempt.scheduled_at, attempt.ended_at)
        for attempt in attempts
        if attempt.reason in {Reason.CANCELLED, Reason.PREEMPTED}
    )


def wall_left_seconds(spec: EvaluationRunSpec, status: RunStatus) -> int:
    """What a new attempt may take: start and run together."""
    return int(spec.clocks.wall_seconds - spent_wall_seconds(status.attempts))


def run_left_seconds(spec: EvaluationRunSpec, status: RunStatus) -> float | None:
    """What is left of the run clock; None when only the wall counts."""
    if spec.clocks.run_seconds is None:
        return None
    spent = sum(
        seconds(attempt.ready_at, attempt.ended_at)
        for attempt in status.attempts
        if attempt.reason in {Reason.CANCELLED, Reason.PREEMPTED}
    )
    return spec.clocks.run_seconds - spent


def add_attempt(status: RunStatus, attempt: Attempt, *, useful: bool) -> tuple[ClockReadings, GpuSeconds]:
    """The clocks and GPU-seconds with an ended attempt added; one without a result is wasted."""
    clocks, gpu = status.clocks or ClockReadings(), status.gpu_seconds or GpuSeconds()
    begin, ready, end = attempt.scheduled_at, attempt.ready_at, attempt.ended_at
    starting = seconds(begin, ready or end)
    running = seconds(ready, end)
    clocks = clocks.model_copy(
        update={"starting": round(clocks.starting + starting, 3), "running": round(clocks.running + running, 3)}
    )
    if useful:
        added = {"starting": gpu.starting + attempt.gpus * starting, "running": gpu.running + attempt.gpus * running}
    else:
        added = {"wasted": gpu.wasted + attempt.gpus * (starting + running)}
    return clocks, gpu.model_copy(update={key: round(value, 3) for key, value in added.items()})


def may_retry(spec: EvaluationRunSpec, attempts: list[Attempt], reason: Reason) -> bool:
    """Whether the budget that ``reason`` draws on allows another attempt, after ``attempts`` (the ended one included)."""
    budget = FACTS[reason].budget
    if budget is Budget.NONE or len(attempts) >= MAX_ATTEMPTS:
        return False
    used = sum(1 for attempt in attempts if attempt.reason and FACTS[attempt.reason].budget is budget)
    most = {
        Budget.FREE: MAX_FREE_RETRIES if spec.on_preemption is OnPreemption.REQUEUE else 0,
        Budget.INFRASTRUCTURE: spec.retries.infrastructure,
        Budget.EVALUATION: spec.retries.evaluation,
    }
    return used <= most[budget]


def retry_at(attempts: list[Attempt]) -> datetime | None:
    """When the next attempt may be made: 5 s after the first failure, twice as long after each further one, 60 s at most."""
    if not attempts or attempts[-1].ended_at is None or attempts[-1].reason in {None, Reason.CANCELLED}:
        return None
    failures = sum(1 for attempt in attempts if attempt.reason not in {None, Reason.CANCELLED})
    return attempts[-1].ended_at + timedelta(seconds=min(RETRY_CAP_SECONDS, RETRY_BASE_SECONDS * 2 ** (failures - 1)))
