"""The decision about one run: what is known goes in, what to write and do next comes out.

Level-based: the same facts give the same plan, whatever happened before, so a crash between any two writes is
mended by looking again. The status is always written before the actions are done: a reservation stands before its
Job, and the reason of a stop stands before the pod is stopped.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from hantei_api.reasons import Reason
from hantei_api.spec import EvaluationRunSpec
from hantei_api.status import Attempt, ClockReadings, ConditionType, Phase, RunStatus
from hantei_operator.domain import attempt as current
from hantei_operator.domain import ends, statuses
from hantei_operator.domain.actions import Announce, CreateJob, Plan
from hantei_operator.domain.admission import refusal
from hantei_operator.domain.baseline import Hold, hold
from hantei_operator.domain.budgets import queued_seconds, retry_at, run_left_seconds, seconds, wall_left_seconds
from hantei_operator.domain.facts import Observed, Policy, RunFacts
from hantei_operator.domain.names import job_name

MINIMUM_WALL_SECONDS = 15
SUSPENDED = "Suspended"
WAITING_FOR_BASELINE = "WaitingForBaseline"


def plan(observed: Observed, now: datetime, policy: Policy) -> Plan:
    """Say what to do about a run now, and when to look again."""
    run = observed.run
    if run.deleting or run.unreadable_status:
        return Plan()
    if run.status.finished:
        return ends.after_the_end(observed, now, policy)
    decided = _decide(observed, now, policy)
    return replace(decided, actions=(*ends.leftovers(observed), *decided.actions))


def _decide(observed: Observed, now: datetime, policy: Policy) -> Plan:
    run = observed.run
    spec = run.spec
    if spec is not None and run.status.attempts and run.status.attempts[-1].reason is None:
        return current.plan_attempt(observed, spec, now)
    words = refusal(run, policy)
    held = hold(run, observed.baseline)
    if held is not None and held.final:
        words = words or held.message
    if words or spec is None:
        status = statuses.with_condition(
            run.status, run, now, ConditionType.ACCEPTED, value=False, reason="InvalidTask", message=words
        )
        return ends.end_run(observed, status, now, Reason.INVALID_TASK, words)
    if spec.cancel:
        return ends.end_run(observed, run.status, now, Reason.CANCELLED, "cancelled by spec.cancel")
    if spec.suspend:
        return _suspended(observed, now)
    return _queued(observed, spec, now, held)


def _suspended(observed: Observed, now: datetime) -> Plan:
    """No attempt, and none wanted: the queue clock stands still."""
    run = observed.run
    reserved = run.status.condition(ConditionType.CAPACITY_RESERVED)
    if reserved is not None and reserved.reason == SUSPENDED:
        return Plan()
    message = "suspended by spec.suspend; set it to false to go on"
    queued = queued_seconds(run.status, run.created_at, now)
    clocks = (run.status.clocks or ClockReadings()).model_copy(update={"queued": round(queued, 3)})
    status = statuses.edit(
        run.status, phase=Phase.QUEUED, message=message, clocks=clocks, queued_since=None, queue_position=None
    )
    status = statuses.with_condition(status, run, now, ConditionType.ACCEPTED, value=True, reason="Accepted")
    status = statuses.with_condition(
        status, run, now, ConditionType.CAPACITY_RESERVED, value=False, reason=SUSPENDED, message=message
    )
    return Plan(status=status)


def _queued(observed: Observed, spec: EvaluationRunSpec, now: datetime, held: Hold | None) -> Plan:
    """Waiting for capacity: reserve when the queue lets us, or end when a clock has struck."""
    run = observed.run
    waited = queued_seconds(run.status, run.created_at, now)
    left = spec.clocks.queue_seconds - waited
    wall_left, run_left = wall_left_seconds(spec, run.status), run_left_seconds(spec, run.status)
    if wall_left < MINIMUM_WALL_SECONDS or (run_left is not None and run_left <= 0):
        words = (
            f"{max(wall_left, 0)} s of clocks.wallSeconds ({spec.clocks.wall_seconds} s) are left after suspends and preemptions"
            if wall_left < MINIMUM_WALL_SECONDS
            else f"clocks.runSeconds ({spec.clocks.run_seconds} s) ran out over suspends and preemptions"
        )
        return ends.end_run(observed, run.status, now, Reason.DEADLINE_EXCEEDED, words)
    if left <= 0:
        what = held.message if held else f"no capacity, {observed.runs_ahead} runs ahead"
        words = f"{what}, within clocks.queueSeconds ({spec.clocks.queue_seconds} s)"
        return ends.end_run(observed, run.status, now, Reason.QUEUE_TIMEOUT, words)
    not_before = retry_at(run.status.attempts)
    if not_before is not None and not_before > now:
        return Plan(status=_waiting(observed, now), wake_after_seconds=min(left, seconds(now, not_before)))
    if held is not None:
        return Plan(status=_held(observed, held.message, now), wake_after_seconds=left)
    if not observed.slot_free:
        return Plan(status=_waiting(observed, now), wake_after_seconds=left)
    return _reserve(observed, spec, now)


def _waiting(observed: Observed, now: datetime) -> RunStatus | None:
    """The status of a run in the queue; None while what is stored says the same."""
    run, ahead = observed.run, observed.runs_ahead
    reserved = run.status.condition(ConditionType.CAPACITY_RESERVED)
    shown = run.status.queue_position
    unchanged = shown is not None and (
        abs(shown - ahead) * 4 <= max(shown, ahead)
        or (observed.memory.written_at is not None and now - observed.memory.written_at < timedelta(seconds=30))
    )
    if reserved is not None and reserved.reason == "Waiting" and (unchanged or shown == ahead):
        return None
    message = f"waiting for capacity, {ahead} runs ahead"
    suspended = reserved is not None and reserved.reason == SUSPENDED
    status = statuses.edit(
        _queued_status(run, now),
        message=run.status.message if run.status.attempts and not suspended else message,
        queue_position=ahead,
    )
    return statuses.with_condition(
        status, run, now, ConditionType.CAPACITY_RESERVED, value=False, reason="Waiting", message=message
    )


def _held(observed: Observed, message: str, now: datetime) -> RunStatus | None:
    """The status of a run that waits for its baseline, outside the queue; None while what is stored says the same."""
    run = observed.run
    reserved = run.status.condition(ConditionType.CAPACITY_RESERVED)
    if reserved is not None and reserved.reason == WAITING_FOR_BASELINE and reserved.message == message:
        return None
    status = statuses.edit(_queued_status(run, now), message=message, queue_position=None)
    return statuses.with_condition(
        status, run, now, ConditionType.CAPACITY_RESERVED, value=False, reason=WAITING_FOR_BASELINE, message=message
    )


def _queued_status(run: RunFacts, now: datetime) -> RunStatus:
    """The status of a run that is accepted and waits: its queue clock runs."""
    status = statuses.edit(
        run.status,
        phase=Phase.QUEUED,
        queued_since=run.status.queued_since or (now if run.status.conditions else run.created_at),
        suite=run.spec.suite.name if run.spec else None,
    )
    return statuses.with_condition(status, run, now, ConditionType.ACCEPTED, value=True, reason="Accepted")


def _reserve(observed: Observed, spec: EvaluationRunSpec, now: datetime) -> Plan:
    """Write the reservation, then create the Job: in this order a crash can neither over-admit nor leak."""
    run = observed.run
    number = len(run.status.attempts) + 1
    name = job_name(run.name, run.uid, number)
    attempt = Attempt(number=number, job_name=name, reserved_at=now, gpus=spec.resources.gpus)
    status = statuses.edit(
        run.status,
        phase=Phase.STARTING,
        message=f"capacity reserved; attempt {number} is Job {name}",
        attempts=[*run.status.attempts, attempt],
        job_name=name,
        pod_name=None,
        node_name=None,
        queue_position=None,
        queued_since=run.status.queued_since or (now if run.status.conditions else run.created_at),
        suite=spec.suite.name,
        gpus=spec.resources.gpus,
    )
    status = statuses.with_condition(status, run, now, ConditionType.ACCEPTED, value=True, reason="Accepted")
    status = statuses.with_condition(
        status,
        run,
        now,
        ConditionType.CAPACITY_RESERVED,
        value=True,
        reason="NoGuard",
        message="no CapacityGuard: maxConcurrent counts",
    )
    return Plan(
        status=status,
        actions=(
            CreateJob(number, run_left_seconds(spec, run.status), wall_left_seconds(spec, run.status)),
            Announce(
                f"attempt-{number}-reserved", "Reserved", f"attempt {number}: capacity reserved, creating Job {name}"
            ),
        ),
        wake_after_seconds=2.0,
    )
