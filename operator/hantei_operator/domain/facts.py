"""What is known about a run, its Jobs and its pods: frozen, reduced to what decisions need."""

from dataclasses import dataclass, field
from datetime import datetime

from hantei_api.spec import EvaluationRunSpec
from hantei_api.status import Progress, RunStatus


@dataclass(frozen=True)
class RunFacts:
    """An EvaluationRun as it is stored."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    created_at: datetime
    spec: EvaluationRunSpec | None
    """None when the stored spec is not valid for this version (an older or newer schema let it in)."""
    spec_error: str = ""
    status: RunStatus = field(default_factory=RunStatus)
    unreadable_status: str = ""
    """What in the stored status this version can't read: a newer operator wrote it, and the run is left to that one."""
    unreadable_reserved: bool = False
    """Whether that status holds a reservation."""
    deleting: bool = False


@dataclass(frozen=True)
class JobFacts:
    """One attempt's Job."""

    namespace: str
    name: str
    uid: str
    run_uid: str
    """UID of the controller owner; empty without one."""
    run_name: str
    attempt: int
    created_at: datetime
    deleting: bool = False
    failed: bool = False
    complete: bool = False


@dataclass(frozen=True)
class TerminatedFacts:
    """How the evaluator's container ended."""

    exit_code: int
    reason: str = ""
    """The runtime's word: Error, OOMKilled, Completed, ContainerCannotRun…"""
    message: str = ""
    """The termination message: a result summary, or the end of the log."""
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True)
class ContainerFacts:
    """The evaluator's container."""

    waiting_reason: str = ""
    waiting_message: str = ""
    running_since: datetime | None = None
    terminated: TerminatedFacts | None = None
    image: str = ""
    image_digest: str = ""

    @property
    def ever_started(self) -> bool:
        """Whether the program was ever running."""
        return self.running_since is not None or (
            self.terminated is not None and self.terminated.started_at is not None
        )


@dataclass(frozen=True)
class PodFacts:
    """One attempt's pod."""

    namespace: str
    name: str
    uid: str
    run_uid: str
    run_name: str
    attempt: int
    job_uid: str
    created_at: datetime
    job_name: str = ""
    """The Job that controls the pod, by its ownerReference."""
    phase: str = "Pending"
    reason: str = ""
    """The kubelet's word for the pod as a whole: Evicted, DeadlineExceeded, UnexpectedAdmissionError…"""
    message: str = ""
    node: str = ""
    scheduled_at: datetime | None = None
    unschedulable: str = ""
    """The scheduler's words while it finds no node."""
    started_at: datetime | None = None
    """status.startTime: activeDeadlineSeconds counts from here."""
    ready_at: datetime | None = None
    deleting_since: datetime | None = None
    """When the deletion was asked for (deletionTimestamp less the grace period)."""
    disruption_reason: str = ""
    """Reason of the DisruptionTarget condition."""
    disruption_message: str = ""
    active_deadline_seconds: int | None = None
    address: str = ""
    container: ContainerFacts = ContainerFacts()

    @property
    def terminal(self) -> bool:
        """Whether the pod has ended for good."""
        return self.phase in {"Succeeded", "Failed"}


@dataclass(frozen=True)
class EventFacts:
    """A Kubernetes Event about a Job or a pod, in its writer's words."""

    reason: str
    message: str


@dataclass(frozen=True)
class AttemptMemory:
    """What this process saw of the current attempt and the API server may have forgotten."""

    attempt: int = 0
    job_seen: bool = False
    last_pod: PodFacts | None = None
    waiting_reason: str = ""
    """The container's last waiting reason: the kubelet erases it when the deadline strikes."""
    waiting_message: str = ""
    job_events: tuple[EventFacts, ...] = ()
    pod_events: tuple[EventFacts, ...] = ()
    placement: str = ""
    """Why the pod may run on one node only."""
    refused: str = ""
    """Why no Job can be made of this run at all."""
    name_conflict: str = ""
    """Whose Job holds the name of ours."""
    progress: Progress | None = None
    written_at: datetime | None = None
    """When the waiting words or the progress were last written."""


@dataclass(frozen=True)
class Observed:
    """All that a decision about one run looks at."""

    run: RunFacts
    jobs: tuple[JobFacts, ...] = ()
    pods: tuple[PodFacts, ...] = ()
    memory: AttemptMemory = AttemptMemory()
    baseline: RunFacts | None = None
    """The run that spec.baseline.run names, None when there is none."""
    slot_free: bool = False
    """Whether the serial queue lets this run reserve now."""
    runs_ahead: int = 0


@dataclass(frozen=True)
class Policy:
    """What the platform engineer set in the chart."""

    default_image: str
    image_prefixes: tuple[str, ...] = ()
    node_selector_keys: tuple[str, ...] = ()
    max_wall_seconds: int = 300
    pod_retention_seconds: int = 600
