"""A model of the API server, the Job controller and a kubelet, small enough to try thousands of histories of one run.

The operator is looked at whenever something changes and when the clock strikes that its last plan asked for: a plan
that forgets to ask leaves the run lying, and the test sees that.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hantei_api.reasons import Reason
from hantei_api.spec import EvaluationRunSpec
from hantei_api.status import RunStatus
from hantei_operator.domain.actions import Action, CreateJob, DeleteJob, DeletePod, LookAtEvents, LowerDeadline
from hantei_operator.domain.facts import ContainerFacts, EventFacts, JobFacts, Observed, PodFacts, TerminatedFacts
from hantei_operator.domain.names import job_name
from hantei_operator.domain.plan import plan
from hantei_operator.memory import Memories
from support.decisions import POLICY, START, a_job, a_pod, a_run, a_summary

KEY = ("team", "run")
STEP = timedelta(seconds=1)


@dataclass
class Course:
    """What becomes of an attempt that nothing disturbs, in seconds; None: never."""

    pod: int | None = 0
    bound: int | None = 1
    started: int | None = 1
    ready: int | None = 1
    done: int | None = 5
    exit_code: int = 0


@dataclass
class Simulation:
    """One run, from its creation to its end, second by second."""

    spec: EvaluationRunSpec
    courses: list[Course]
    crash_at_writes: frozenset[int] = frozenset()
    now: datetime = START
    jobs: dict[str, JobFacts] = field(default_factory=dict)
    pods: dict[str, PodFacts] = field(default_factory=dict)
    lost_since: dict[str, datetime] = field(default_factory=dict)
    writes: int = 0
    stood_still: float = 0.0

    def __post_init__(self) -> None:
        self.run = a_run(self.spec)
        self.memories = Memories()
        self.wake_at: datetime | None = START

    def set(self, **changes: bool) -> None:
        """Change the spec."""
        if self.run.spec is not None:
            self.run = replace(self.run, spec=self.run.spec.model_copy(update=changes))
        self.wake_at = self.now

    def live(self) -> list[PodFacts]:
        """Pods that hold their GPU and whose node answers."""
        return [p for p in self.pods.values() if not p.terminal and p.uid not in self.lost_since]

    def disturb(self, kind: str) -> None:
        """Something befalls the newest live pod, or the operator."""
        if kind == "crash":
            self._crash()
            return
        for pod in self.live()[-1:]:
            match kind:
                case "delete":
                    self._put(replace(pod, deleting_since=pod.deleting_since or self.now))
                case "preempt":
                    self._put(
                        replace(
                            pod,
                            deleting_since=pod.deleting_since or self.now,
                            disruption_reason="PreemptionByScheduler",
                        )
                    )
                case "lose node" if pod.scheduled_at is not None:
                    self.lost_since[pod.uid] = self.now

    def tick(self) -> None:
        """One second passes."""
        self.now += STEP
        if self.run.spec is not None and self.run.spec.suspend and not self.live():
            self.stood_still += 1
        for job in list(self.jobs.values()):
            self._control(job)
        for pod in list(self.pods.values()):
            self._keep(pod)
        for _ in range(20):
            if self.wake_at is None or self.wake_at > self.now:
                wanted = [pod.name for pod in self.live() if pod.deleting_since is None]
                assert len(wanted) <= 1, f"attempts live side by side: {wanted}"
                return
            self._look()
        raise AssertionError(f"the operator never comes to rest: {self.run.status}")

    def _look(self) -> None:
        attempts = self.run.status.attempts
        memory = self.memories.of(KEY, attempts[-1].number if attempts else 0)
        step = plan(
            Observed(self.run, tuple(self.jobs.values()), tuple(self.pods.values()), memory, slot_free=True),
            self.now,
            POLICY,
        )
        wake = step.wake_after_seconds
        self.wake_at = None if wake is None else self.now + max(STEP / 100, timedelta(seconds=wake))
        if step.status is not None and step.status.to_body() != self.run.status.to_body():
            before = self.run.status
            self.run = replace(self.run, status=RunStatus.model_validate(step.status.to_body()))
            assert not before.finished, "a finished run was written"
            self.wake_at = self.now
            if self._written():
                return
        for action in step.actions:
            self._do(action)
            if self._written():
                return

    def _written(self) -> bool:
        self.writes += 1
        if self.writes in self.crash_at_writes:
            self._crash()
            return True
        return False

    def _crash(self) -> None:
        self.memories = Memories()
        number = self.run.status.attempts[-1].number if self.run.status.attempts else 0
        for job in self.jobs.values():
            if job.attempt == number:
                self.memories.see_job(KEY, job)
        for pod in self.pods.values():
            if pod.attempt == number:
                self.memories.see_pod(KEY, pod)
        self.wake_at = self.now

    def _do(self, action: Action) -> None:
        match action:
            case CreateJob(number):
                name = job_name("run", "run-uid", number)
                if name not in self.jobs:
                    self.jobs[name] = a_job(number, name=name, uid=f"{name}-{self.writes}", created_at=self.now)
                self.memories.see_job(KEY, self.jobs[name])
                self.wake_at = self.now
            case DeleteJob(name, uid):
                self.jobs.pop(name, None)
                for pod in self.pods.values():
                    if pod.job_uid == uid:
                        self._put(replace(pod, deleting_since=pod.deleting_since or self.now))
            case DeletePod(_, uid) if uid in self.pods:
                self._put(replace(self.pods[uid], deleting_since=self.pods[uid].deleting_since or self.now))
            case LowerDeadline(_, uid) if uid in self.pods:
                self._put(replace(self.pods[uid], active_deadline_seconds=1))
            case LookAtEvents(kind, _):
                number = self.run.status.attempts[-1].number
                if self.memories.see_events(KEY, number, kind, (EventFacts("FailedCreate", "exceeded quota"),)):
                    self.wake_at = self.now
            case _:
                pass

    def _course(self, attempt: int) -> Course:
        return self.courses[(attempt - 1) % len(self.courses)]

    def _control(self, job: JobFacts) -> None:
        """The Job controller: one pod a Job, and none again."""
        course = self._course(job.attempt)
        mine = [p for p in self.pods.values() if p.job_uid == job.uid]
        if not mine and not job.failed and course.pod is not None and self.now >= job.created_at + course.pod * STEP:
            others = [p for p in self.live() if p.attempt == job.attempt]
            assert not others, f"two live pods of attempt {job.attempt}"
            uid = f"pod-{job.uid}"
            left = self.spec.clocks.wall_seconds
            self._put(
                a_pod(
                    job.attempt, name=uid, uid=uid, job_uid=job.uid, created_at=self.now, active_deadline_seconds=left
                )
            )
        if any(p.phase == "Failed" or p.deleting_since for p in mine) and not job.failed:
            self.jobs[job.name] = replace(job, failed=True)
            self.wake_at = self.now

    def _keep(self, pod: PodFacts) -> None:
        """The scheduler and the kubelet; and the taint manager when the kubelet is lost."""
        course = self._course(pod.attempt)
        lost = self.lost_since.get(pod.uid)
        if lost is not None:
            if pod.deleting_since is None and self.now >= lost + 70 * STEP:
                self._put(replace(pod, deleting_since=self.now, disruption_reason="DeletionByTaintManager"))
            return
        if pod.deleting_since is not None:
            if pod.scheduled_at is None or self.now >= pod.deleting_since + 5 * STEP:
                del self.pods[pod.uid]
                job = next((j for j in self.jobs.values() if j.uid == pod.job_uid), None)
                if job is not None:
                    self.jobs[job.name] = replace(job, failed=True)
                self.wake_at = self.now
            return
        if pod.scheduled_at is None:
            if course.bound is not None and self.now >= pod.created_at + course.bound * STEP:
                self._put(replace(pod, scheduled_at=self.now, started_at=self.now, node="node"))
        elif not pod.terminal:
            self._advance(pod, course, pod.scheduled_at)

    def _advance(self, pod: PodFacts, course: Course, bound: datetime) -> None:
        """The kubelet of a node that answers."""
        since = self.now
        if pod.active_deadline_seconds and since >= bound + pod.active_deadline_seconds * STEP:
            self._end(pod, 75, a_summary(Reason.POD_LOST), reason="DeadlineExceeded")
        elif pod.container.running_since is None:
            if course.started is not None and since >= bound + course.started * STEP:
                self._put(replace(pod, phase="Running", container=ContainerFacts(running_since=since)))
        elif pod.ready_at is None:
            if course.ready is not None and since >= pod.container.running_since + course.ready * STEP:
                self._put(replace(pod, ready_at=since))
        elif course.done is not None and since >= pod.ready_at + course.done * STEP:
            self._end(pod, course.exit_code, "" if course.exit_code else a_summary())

    def _end(self, pod: PodFacts, code: int, message: str, **changes: str) -> None:
        started = pod.container.running_since
        ended = TerminatedFacts(code, "Error" if code else "Completed", message, started, self.now) if started else None
        phase = "Failed" if code else "Succeeded"
        self._put(replace(pod, phase=phase, container=ContainerFacts(terminated=ended), **changes))  # type: ignore[arg-type]

    def _put(self, pod: PodFacts) -> None:
        self.pods[pod.uid] = pod
        if self.run.status.attempts and pod.attempt == self.run.status.attempts[-1].number:
            self.memories.see_pod(KEY, pod)
        self.wake_at = self.now
