"""The end of an attempt, the end of a run, and what is left to clear away after it."""

from datetime import datetime, timedelta

from hantei_api.reasons import Reason
from hantei_api.spec import EvaluationRunSpec
from hantei_api.status import MAX_ATTEMPTS, Attempt, ClockReadings, ConditionType, Phase, RunStatus
from hantei_operator.domain import statuses
from hantei_operator.domain.actions import Action, Announce, DeleteJob, DeletePod, DeleteRun, Plan
from hantei_operator.domain.budgets import add_attempt, may_retry, seconds
from hantei_operator.domain.classify import GOOD, Ending
from hantei_operator.domain.facts import Observed, PodFacts, Policy


def end_attempt(
    observed: Observed, spec: EvaluationRunSpec, now: datetime, pod: PodFacts | None, ending: Ending
) -> Plan:
    """Close the current attempt; then the run ends, or waits for its next attempt."""
    run = observed.run
    attempt = _closed(run.status.attempts[-1], now, pod, ending)
    status = statuses.with_attempt(run.status, attempt)
    status = _queue_clock_stopped(status, attempt, now)
    stopped = ending.reason is Reason.CANCELLED and not spec.cancel
    again = (stopped and len(status.attempts) < MAX_ATTEMPTS) or (
        ending.retryable and may_retry(spec, status.attempts, ending.reason)
    )
    clear = _clear_live(observed, attempt)
    if again:
        clocks, gpu = add_attempt(status, attempt, useful=False)
        status = statuses.edit(
            status,
            phase=Phase.QUEUED,
            message=f"attempt {attempt.number} ended with {ending.reason}: {ending.message}"[
                : statuses.MESSAGE_CHARACTERS
            ],
            clocks=clocks,
            gpu_seconds=gpu,
            queued_since=now,
            pod_name=None,
            node_name=None,
            progress=None,
        )
        word = "Stopped" if stopped else "Retrying"
        status = statuses.with_condition(
            status, run, now, ConditionType.CAPACITY_RESERVED, value=False, reason=word, message=status.message or ""
        )
        event = Announce(
            f"attempt-{attempt.number}-ended", ending.reason.value, status.message or "", warning=not stopped
        )
        return Plan(status=status, actions=(*clear, event), wake_after_seconds=0.0)
    status = statuses.with_result(run, status, now, pod, ending)
    useful = ending.reason in GOOD or bool(status.metrics)
    clocks, gpu = add_attempt(status, attempt, useful=useful)
    status = statuses.edit(
        status,
        clocks=clocks,
        gpu_seconds=gpu,
        pod_name=attempt.pod_name,
        node_name=attempt.node_name,
        duration=statuses.duration(attempt),
    )
    message = ending.message
    if ending.reason in GOOD:
        # The evaluator's own words are those of the comparison with the baseline.
        message = "; ".join(filter(None, [ending.message.rstrip("."), statuses.result_message(status)]))
    return end_run(observed, status, now, ending.reason, message, clear)


def end_run(
    observed: Observed,
    status: RunStatus,
    now: datetime,
    reason: Reason,
    message: str,
    actions: tuple[Action, ...] = (),
) -> Plan:
    """Set Finished, once, and say so."""
    status = statuses.finished(observed.run, status, now, reason, message)
    event = Announce("finished", reason.value, status.message or "", warning=reason not in GOOD)
    return Plan(status=status, actions=(*actions, event), wake_after_seconds=1.0)


def after_the_end(observed: Observed, now: datetime, policy: Policy) -> Plan:
    """Nothing that lives outlasts its run; logs stay for the retention, the run itself for its time to live."""
    run = observed.run
    status, spec = run.status, run.spec
    age = seconds(status.finished_at, now)
    actions: list[Action] = []
    wakes: list[float] = []
    live = {pod.job_uid for pod in observed.pods if not pod.terminal}
    over = {pod.job_uid for pod in observed.pods if pod.terminal}
    job_uids = {job.uid for job in observed.jobs}
    for job in observed.jobs:
        left = policy.pod_retention_seconds - age
        if job.deleting:
            continue
        if job.uid in live or job.uid not in over or left <= 0:
            actions.append(DeleteJob(job.name, job.uid))
        else:
            wakes.append(left)
    actions += [
        DeletePod(pod.name, pod.uid)
        for pod in observed.pods
        if not pod.terminal and pod.job_uid not in job_uids and pod.deleting_since is None
    ]
    ttl = None
    if spec is not None:
        kept = spec.ttl_seconds_after_finished
        ttl = kept.succeeded if status.phase is Phase.SUCCEEDED else kept.failed
    if ttl is not None:
        if age >= ttl:
            actions.append(DeleteRun())
        else:
            wakes.append(ttl - age)
    return Plan(actions=tuple(actions), wake_after_seconds=min(wakes, default=None))


def leftovers(observed: Observed) -> tuple[Action, ...]:
    """What a crash between an attempt's end and its clearing away has left: no earlier attempt lives beside a later one."""
    ended = [attempt for attempt in observed.run.status.attempts if attempt.reason is not None]
    return tuple(action for attempt in ended for action in _clear_live(observed, attempt))


def _closed(attempt: Attempt, now: datetime, pod: PodFacts | None, ending: Ending) -> Attempt:
    """The attempt with all that its pod said filled in; times that lie ahead of our clock are cut to it."""
    changes: dict[str, object] = {
        "reason": ending.reason,
        "message": ending.message[: statuses.MESSAGE_CHARACTERS],
        "exit_code": ending.exit_code,
        "ended_at": now,
    }
    if pod is not None:
        terminated = pod.container.terminated
        ended_at = min(now, terminated.finished_at) if terminated and terminated.finished_at else now
        ready_at = attempt.ready_at or pod.ready_at
        if ready_at is None and terminated and terminated.started_at and ending.summary:
            # The evaluator's own word, which may be any number: never past the end.
            loading = min(ending.summary.timings.load_seconds, seconds(terminated.started_at, ended_at))
            ready_at = terminated.started_at + timedelta(seconds=loading)
        changes |= {
            "pod_name": pod.name,
            "node_name": pod.node or None,
            "scheduled_at": attempt.scheduled_at or pod.scheduled_at,
            "ready_at": min(ready_at, ended_at) if ready_at else None,
            "ended_at": ended_at,
        }
    return attempt.model_copy(update=changes)


def _queue_clock_stopped(status: RunStatus, attempt: Attempt, now: datetime) -> RunStatus:
    """The queue clock up to the pod's binding; a pod that was never bound waited until now."""
    if status.queued_since is None:
        return status
    clocks = status.clocks or ClockReadings()
    waited = seconds(status.queued_since, attempt.scheduled_at or now)
    return statuses.edit(
        status, clocks=clocks.model_copy(update={"queued": round(clocks.queued + waited, 3)}), queued_since=None
    )


def _clear_live(observed: Observed, attempt: Attempt) -> tuple[Action, ...]:
    """Delete the attempt's Job unless its pod is over: then both stay, for their logs."""
    over = {pod.job_uid for pod in observed.pods if pod.terminal}
    jobs = [job for job in observed.jobs if job.attempt == attempt.number and not job.deleting]
    return tuple(DeleteJob(job.name, job.uid) for job in jobs if job.uid not in over)
