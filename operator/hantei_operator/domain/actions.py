"""What the reconciler is told to do, in this order, after the status was written."""

from dataclasses import dataclass

from hantei_api.status import RunStatus


@dataclass(frozen=True)
class CreateJob:
    """Create the attempt's Job, or adopt the one that is there."""

    attempt: int
    run_seconds: float | None
    """What is left of the run clock; None when only the wall counts."""
    wall_seconds: int


@dataclass(frozen=True)
class DeleteJob:
    """Delete a Job, and its pods in the background."""

    name: str
    uid: str


@dataclass(frozen=True)
class DeletePod:
    """Delete a pod that has no Job above it any more."""

    name: str
    uid: str


@dataclass(frozen=True)
class LowerDeadline:
    """Let the kubelet stop a pod now: pod and termination message stay, which deleting would lose."""

    pod_name: str
    pod_uid: str


@dataclass(frozen=True)
class LookAtEvents:
    """Read the Events about a Job or pod that does not come forward: only they say why."""

    kind: str
    uid: str


@dataclass(frozen=True)
class DeleteRun:
    """The run's time to live is over."""


@dataclass(frozen=True)
class Announce:
    """An Event on the run, once for each transition."""

    transition: str
    """Names the transition within the run, for example attempt-1-running: the same one is never announced twice."""
    reason: str
    message: str
    warning: bool = False


Action = CreateJob | DeleteJob | DeletePod | LowerDeadline | LookAtEvents | DeleteRun | Announce


@dataclass(frozen=True)
class Plan:
    """What to do about a run now, and when to look again."""

    status: RunStatus | None = None
    """The status to write first; None when what is stored is right."""
    actions: tuple[Action, ...] = ()
    wake_after_seconds: float | None = None
    """When a clock strikes next; None when only an event can change the plan."""
