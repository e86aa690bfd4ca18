"""The decision about a run whose current attempt has not ended: its Job, its pod and the clocks that run."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hantei_api.reasons import Reason
from hantei_api.spec import EvaluationRunSpec
from hantei_api.status import Attempt, ClockReadings, ConditionType, Phase, RunStatus
from hantei_operator.domain import statuses
from hantei_operator.domain.actions import (
    Action,
    Announce,
    CreateJob,
    DeleteJob,
    DeletePod,
    LookAtEvents,
    LowerDeadline,
    Plan,
)
from hantei_operator.domain.budgets import queued_seconds, run_left_seconds, seconds, wall_left_seconds
from hantei_operator.domain.classify import Ending, ended, never_started, unschedulable
from hantei_operator.domain.ends import end_attempt
from hantei_operator.domain.facts import JobFacts, Observed, PodFacts

POD_EXPECTED_SECONDS = 2.0
LOOK_AGAIN_SECONDS = 10.0
WORDS_EVERY_SECONDS = 30.0
STOP_SECONDS = 10.0
"""A pod that is not terminal this long after it was told to stop is deleted."""
STRANDED_SECONDS = 40.0
"""A pod that is still there this long after it was told to stop sits on a node that does not answer."""
TAINTED_SECONDS = 15.0
"""A kubelet that lives has ended a tainted pod by then: the grace of 5 s, and 10 s to say so."""
DELETED_SECONDS = 60.0
CLOCK_SLACK_SECONDS = 10.0
"""The evaluator's and the kubelet's own clocks strike first; ours is for when they don't."""
EARLY_WORDS = frozenset({"", "ContainerCreating", "PodInitializing"})


@dataclass(frozen=True)
class _Situation:
    """The facts about the current attempt, side by side."""

    observed: Observed
    spec: EvaluationRunSpec
    now: datetime
    attempt: Attempt
    job: JobFacts | None
    pod: PodFacts | None

    @property
    def status(self) -> RunStatus:
        return self.observed.run.status

    @property
    def earlier(self) -> RunStatus:
        """The status with only the attempts before this one: what they left of the clocks is this one's."""
        return statuses.edit(self.status, attempts=self.status.attempts[:-1])

    def end(self, ending: Ending, pod: PodFacts | None = None) -> Plan:
        return end_attempt(self.observed, self.spec, self.now, pod or self.pod, ending)


def plan_attempt(observed: Observed, spec: EvaluationRunSpec, now: datetime) -> Plan:
    """Say what to do about the current attempt."""
    attempt = observed.run.status.attempts[-1]
    pods = [pod for pod in observed.pods if pod.attempt == attempt.number]
    # A live pod comes first, else the newest: a deleted one may still be seen beside its successor.
    pod = max(pods, key=lambda each: (not each.terminal, each.created_at), default=None)
    job = next((job for job in observed.jobs if job.attempt == attempt.number), None)
    here = _Situation(observed, spec, now, attempt, job, pod)
    if observed.memory.refused:
        return here.end(Ending(Reason.INVALID_TASK, observed.memory.refused))
    if observed.memory.name_conflict:
        return here.end(Ending(Reason.NAME_CONFLICT, observed.memory.name_conflict))
    if pod is not None and pod.terminal:
        return _terminal(here, pod)
    if attempt.stopping is not None:
        return _stopping(here, attempt.stopping)
    if spec.cancel:
        return _stop(here, Reason.CANCELLED, "cancelled by spec.cancel")
    if spec.suspend:
        return _stop(here, Reason.CANCELLED, "stopped by spec.suspend, which spends no retry")
    if pod is None:
        return _without_pod(here)
    if pod.deleting_since is not None:
        return _being_deleted(here, pod)
    if pod.scheduled_at is None:
        return _unscheduled(here, pod)
    return _placed(here, pod, pod.scheduled_at)


def _terminal(here: _Situation, pod: PodFacts) -> Plan:
    ending = ended(pod, here.observed.memory)
    if here.attempt.stopping is not None:
        ending = replace(ending, reason=here.attempt.stopping, message=here.attempt.message or "")
    return here.end(ending)


def _without_pod(here: _Situation) -> Plan:
    memory, job = here.observed.memory, here.job
    if memory.last_pod is not None:
        return here.end(ended(memory.last_pod, memory), memory.last_pod)
    if job is None:
        if memory.job_seen or here.attempt.pod_name is not None:
            return here.end(Ending(Reason.POD_LOST, "the Job was deleted, and not by this operator"))
        return _refused(here, _create(here))
    if job.failed or job.complete or job.deleting:
        return here.end(Ending(Reason.POD_LOST, "the pod was deleted, and not by this operator"))
    age = seconds(job.created_at, here.now)
    if age < POD_EXPECTED_SECONDS:
        return Plan(wake_after_seconds=POD_EXPECTED_SECONDS - age)
    return _refused(here, LookAtEvents("Job", job.uid))


def _refused(here: _Situation, action: CreateJob | LookAtEvents) -> Plan:
    """No pod yet, and perhaps words that say why: go on trying until the queue clock strikes."""
    words = next((e.message for e in reversed(here.observed.memory.job_events) if e.reason == "FailedCreate"), "")
    left = _queue_left(here)
    if left <= 0:
        message = words or "no pod was made within clocks.queueSeconds, and no Event says why"
        return here.end(Ending(Reason.POD_REJECTED, message, retryable=False))
    status = _with_words(here, Phase.QUEUED, f"{Reason.POD_REJECTED}: {words}") if words else None
    again = LOOK_AGAIN_SECONDS if words else POD_EXPECTED_SECONDS
    return Plan(status=status, actions=(action,), wake_after_seconds=min(left, again))


def _create(here: _Situation) -> CreateJob:
    return CreateJob(
        attempt=here.attempt.number,
        run_seconds=run_left_seconds(here.spec, here.earlier),
        wall_seconds=wall_left_seconds(here.spec, here.earlier),
    )


def _being_deleted(here: _Situation, pod: PodFacts) -> Plan:
    """Somebody deletes the pod; a kubelet that lives will say how it ended."""
    patience = TAINTED_SECONDS if pod.disruption_reason == "DeletionByTaintManager" else DELETED_SECONDS
    left = patience - seconds(pod.deleting_since, here.now)
    if left > 0:
        return Plan(wake_after_seconds=left)
    words = pod.disruption_message or "the pod was deleted and its node did not confirm it"
    return here.end(Ending(Reason.NODE_LOST, f"node {pod.node} does not answer: {words}"))


def _unscheduled(here: _Situation, pod: PodFacts) -> Plan:
    left = _queue_left(here)
    if left <= 0:
        words = _scheduler_words(here, pod) or "no node was found, and the scheduler has not said why"
        return here.end(Ending(unschedulable(words), words, retryable=False))
    age = seconds(pod.created_at, here.now)
    if not pod.unschedulable or age < POD_EXPECTED_SECONDS:
        return Plan(wake_after_seconds=min(left, POD_EXPECTED_SECONDS))
    words = _scheduler_words(here, pod)
    return Plan(
        status=_with_words(here, Phase.QUEUED, f"{unschedulable(words)}: {words}"),
        wake_after_seconds=min(left, WORDS_EVERY_SECONDS),
    )


def _scheduler_words(here: _Situation, pod: PodFacts) -> str:
    """What the scheduler says, and what it can't know: why we bound the pod to a node."""
    placement = here.observed.memory.placement
    return f"{pod.unschedulable}; {placement}" if pod.unschedulable and placement else pod.unschedulable


def _placed(here: _Situation, pod: PodFacts, scheduled_at: datetime) -> Plan:
    begin = here.attempt.scheduled_at or min(scheduled_at, here.now)
    wall_left = wall_left_seconds(here.spec, here.earlier) + CLOCK_SLACK_SECONDS - seconds(begin, here.now)
    if pod.ready_at is not None or here.attempt.ready_at is not None:
        return _running(here, pod, begin, wall_left)
    left = min(here.spec.clocks.start_seconds - seconds(begin, here.now), wall_left)
    if left <= 0:
        if pod.container.ever_started:
            return _stop(here, Reason.START_TIMEOUT, "the evaluator started, and was not ready in time")
        return here.end(never_started(here.observed.memory))
    waiting = here.observed.memory.waiting_reason
    age = seconds(begin, here.now)
    if waiting not in EARLY_WORDS and not pod.container.ever_started:
        status = _with_words(here, Phase.STARTING, f"{waiting}: {here.observed.memory.waiting_message}")
        return Plan(status=status, wake_after_seconds=min(left, WORDS_EVERY_SECONDS))
    if pod.container.ever_started or age < LOOK_AGAIN_SECONDS:
        return Plan(wake_after_seconds=min(left, LOOK_AGAIN_SECONDS))
    events = here.observed.memory.pod_events
    words = f"{events[-1].reason}: {events[-1].message}" if events else ""
    status = _with_words(here, Phase.STARTING, words) if words else None
    return Plan(
        status=status, actions=(LookAtEvents("Pod", pod.uid),), wake_after_seconds=min(left, LOOK_AGAIN_SECONDS)
    )


def _running(here: _Situation, pod: PodFacts, begin: datetime, wall_left: float) -> Plan:
    now, attempt = here.now, here.attempt
    ready_at = attempt.ready_at or min(pod.ready_at or now, now)
    run_left = run_left_seconds(here.spec, here.earlier)
    wake = wall_left
    if wake <= 0:
        return _stop(here, Reason.DEADLINE_EXCEEDED, "the pod outlived activeDeadlineSeconds (clocks.wallSeconds)")
    if run_left is not None:
        slack = here.spec.clocks.publish_seconds + CLOCK_SLACK_SECONDS
        wake = min(wake, run_left + slack - seconds(ready_at, now))
        if wake <= 0:
            return _stop(
                here, Reason.DEADLINE_EXCEEDED, f"clocks.runSeconds ({here.spec.clocks.run_seconds} s) ran out"
            )
    if attempt.ready_at is None:
        return Plan(
            status=_started(here, pod, begin, ready_at),
            actions=(
                Announce(
                    f"attempt-{attempt.number}-running", "Running", f"attempt {attempt.number} runs on {pod.node}"
                ),
            ),
            wake_after_seconds=wake,
        )
    progress = here.observed.memory.progress
    if progress is None or progress == here.status.progress or not _may_write(here):
        return Plan(wake_after_seconds=wake)
    return Plan(status=statuses.edit(here.status, progress=progress), wake_after_seconds=wake)


def _started(here: _Situation, pod: PodFacts, begin: datetime, ready_at: datetime) -> RunStatus:
    """The run clock starts: the pod is ready."""
    run, now = here.observed.run, here.now
    attempt = here.attempt.model_copy(
        update={
            "job_uid": pod.job_uid or None,
            "pod_name": pod.name,
            "node_name": pod.node,
            "scheduled_at": begin,
            "ready_at": ready_at,
        }
    )
    clocks = here.status.clocks or ClockReadings()
    queued = clocks.queued + seconds(here.status.queued_since, begin)
    status = statuses.edit(
        statuses.with_attempt(here.status, attempt),
        phase=Phase.RUNNING,
        message=f"attempt {attempt.number} runs on {pod.node}",
        pod_name=pod.name,
        node_name=pod.node,
        clocks=clocks.model_copy(update={"queued": round(queued, 3)}),
        queued_since=None,
        progress=here.observed.memory.progress,
    )
    return statuses.with_condition(status, run, now, ConditionType.STARTED, value=True, reason="Ready")


def _stop(here: _Situation, reason: Reason, message: str) -> Plan:
    """First the reason into status; the pod is stopped when it stands there."""
    attempt = here.attempt.model_copy(update={"stopping": reason, "stopping_since": here.now, "message": message})
    status = statuses.edit(statuses.with_attempt(here.status, attempt), message=f"stopping: {message}")
    return Plan(status=status, wake_after_seconds=0.0)


def _stopping(here: _Situation, reason: Reason) -> Plan:
    """Let the kubelet stop the pod and read its message; delete what does not stop."""
    job, pod = here.job, here.pod
    elapsed = seconds(here.attempt.stopping_since, here.now)
    gone = pod is None and (job is None or job.deleting or job.failed or here.observed.memory.last_pod is not None)
    if gone or elapsed >= STRANDED_SECONDS:
        last = pod or here.observed.memory.last_pod
        ending = ended(last, here.observed.memory) if last and last.terminal else Ending(reason, "")
        return here.end(replace(ending, reason=reason, message=here.attempt.message or ""), last)
    if pod is None:
        return Plan(actions=_deletes(job, None), wake_after_seconds=STRANDED_SECONDS - elapsed)
    if pod.deleting_since is not None:
        return Plan(wake_after_seconds=STRANDED_SECONDS - elapsed)
    if pod.container.ever_started and elapsed < STOP_SECONDS:
        lower = () if pod.active_deadline_seconds == 1 else (LowerDeadline(pod.name, pod.uid),)
        return Plan(actions=lower, wake_after_seconds=STOP_SECONDS - elapsed)
    return Plan(actions=_deletes(job, pod), wake_after_seconds=STRANDED_SECONDS - elapsed)


def _deletes(job: JobFacts | None, pod: PodFacts | None) -> tuple[Action, ...]:
    if job is not None:
        return () if job.deleting else (DeleteJob(job.name, job.uid),)
    return (DeletePod(pod.name, pod.uid),) if pod is not None else ()


def _queue_left(here: _Situation) -> float:
    run = here.observed.run
    return here.spec.clocks.queue_seconds - queued_seconds(run.status, run.created_at, here.now)


def _may_write(here: _Situation) -> bool:
    written_at = here.observed.memory.written_at
    return written_at is None or here.now - written_at >= timedelta(seconds=WORDS_EVERY_SECONDS)


def _with_words(here: _Situation, phase: Phase, words: str) -> RunStatus | None:
    """The status with the scheduler's or kubelet's words in it; None when it has them, or had some a moment ago."""
    words = words[: statuses.MESSAGE_CHARACTERS]
    if here.status.message == words or (here.status.phase is phase and not _may_write(here)):
        return None
    return statuses.edit(here.status, phase=phase, message=words)
