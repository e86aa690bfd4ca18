"""Why an attempt ended, in one of the closed reasons and in the words of whoever ended it."""

import re
import signal
from dataclasses import dataclass

from hantei_api.reasons import EVALUATOR_REASONS, EXIT_REASONS, Reason
from hantei_api.result import ResultSummary, parse_termination_message
from hantei_operator.domain.facts import AttemptMemory, EventFacts, PodFacts

PULL_WORDS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
GOOD = frozenset({Reason.COMPLETED, Reason.GATE_FAILED})
VOLUME_EVENTS = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})
_CLAIM_WORDS = re.compile(
    r"persistentvolumeclaim|unbound immediate|volume node affinity|PersistentVolume", re.IGNORECASE
)
_FINAL_PULL_WORDS = re.compile(
    r"not found|manifest unknown|does not exist|denied|unauthorized|forbidden|InvalidImageName|couldn't parse|no such host|never pull|not present",
    re.IGNORECASE,
)

_DISRUPTIONS = {
    "PreemptionByScheduler": Reason.PREEMPTED,
    "EvictionByEvictionAPI": Reason.EVICTED,
    "TerminationByKubelet": Reason.EVICTED,
    "DeletionByPodGC": Reason.NODE_LOST,
}


@dataclass(frozen=True)
class Ending:
    """How an attempt ended."""

    reason: Reason
    message: str
    exit_code: int | None = None
    summary: ResultSummary | None = None
    log_tail: str | None = None
    retryable: bool = True
    """False when the same attempt again is known to end the same way, whatever the reason's budget."""


def unschedulable(words: str) -> Reason:
    """Whether the scheduler waits for a volume, or for a node."""
    return Reason.VOLUME_UNAVAILABLE if _CLAIM_WORDS.search(words) else Reason.UNSCHEDULABLE


def never_started(memory: AttemptMemory) -> Ending:
    """Why a container did not start within its clock, from what it last waited for."""
    volume = next((event for event in memory.pod_events if event.reason in VOLUME_EVENTS), None)
    waiting, words = memory.waiting_reason, memory.waiting_message
    if waiting in PULL_WORDS:
        final = _FINAL_PULL_WORDS.search(f"{waiting} {words}") is not None
        return Ending(Reason.IMAGE_PULL_ERROR, _join(waiting, words), retryable=not final)
    if volume is not None:
        return Ending(Reason.VOLUME_UNAVAILABLE, _join(volume.reason, volume.message))
    if waiting in {"", "ContainerCreating", "PodInitializing"}:
        return Ending(Reason.START_TIMEOUT, _join("the container did not start in time", _words(memory.pod_events)))
    return Ending(Reason.START_TIMEOUT, _join(waiting, words))


def ended(pod: PodFacts, memory: AttemptMemory) -> Ending:
    """Why a pod that is terminal, or gone, ended; ``pod`` is as it was last seen."""
    terminated = pod.container.terminated
    summary = parse_termination_message(terminated.message) if terminated else None
    ending = _from_disruption(pod, summary) or _from_kubelet(pod, memory, summary) or _from_container(pod, summary)
    if terminated is None:
        return ending
    tail = summary.log_tail if summary else (terminated.message or None)
    return Ending(ending.reason, ending.message, terminated.exit_code, summary, tail, ending.retryable)


def _from_disruption(pod: PodFacts, summary: ResultSummary | None) -> Ending | None:
    """The DisruptionTarget condition; a pod that had finished all the same has finished."""
    if not pod.disruption_reason or _finished(pod, summary):
        return None
    message = _join(pod.disruption_reason, pod.disruption_message)
    if pod.disruption_reason == "DeletionByTaintManager":
        # A kubelet that still answers reports how the container ended; one that is lost does not.
        reason = Reason.EVICTED if pod.container.terminated else Reason.NODE_LOST
        return Ending(reason, message)
    if _storage(pod):
        return Ending(Reason.STORAGE_FULL, pod.message)
    return Ending(_DISRUPTIONS.get(pod.disruption_reason, Reason.EVICTED), message)


def _from_kubelet(pod: PodFacts, memory: AttemptMemory, summary: ResultSummary | None) -> Ending | None:
    """What the kubelet did to the pod as a whole."""
    if not pod.reason or _finished(pod, summary):
        return None
    if pod.reason == "DeadlineExceeded":
        if not pod.container.ever_started:
            return never_started(memory)
        if summary is not None and summary.reason not in {Reason.POD_LOST, *GOOD}:
            return Ending(summary.reason, summary.message)
        return Ending(Reason.DEADLINE_EXCEEDED, "the pod reached activeDeadlineSeconds (clocks.wallSeconds)")
    if _storage(pod):
        return Ending(Reason.STORAGE_FULL, pod.message)
    if pod.reason in {"Evicted", "NodeShutdown", "Terminated"}:
        return Ending(Reason.EVICTED, _join(pod.reason, pod.message))
    if pod.reason == "NodeLost":
        return Ending(Reason.NODE_LOST, pod.message)
    return Ending(Reason.POD_REJECTED, _join(f"the kubelet on {pod.node} refused the pod: {pod.reason}", pod.message))


def _from_container(pod: PodFacts, summary: ResultSummary | None) -> Ending:
    """What the evaluator itself said, or how its container ended."""
    terminated = pod.container.terminated
    if terminated is None:
        return Ending(Reason.POD_LOST, "the pod was deleted, and not by this operator")
    code = terminated.exit_code
    if terminated.reason == "OOMKilled" and not _finished(pod, summary):
        return Ending(Reason.OOM_KILLED, "the evaluation went over its memory limit")
    if summary is not None and EVALUATOR_REASONS[summary.reason] == code:
        if summary.reason in GOOD and not summary.metrics:
            return Ending(Reason.METRICS_UNAVAILABLE, "the evaluation ended without a single metric")
        if summary.reason is Reason.POD_LOST and pod.deleting_since is not None:
            return Ending(Reason.POD_LOST, "the pod was deleted, and not by this operator")
        return Ending(summary.reason, summary.message)
    if pod.deleting_since is not None:
        return Ending(Reason.POD_LOST, "the pod was deleted, and not by this operator")
    if code == 0:
        return Ending(
            Reason.METRICS_UNAVAILABLE,
            "the container exited 0 without a result: is spec.image made FROM the evaluator image?",
        )
    if terminated.started_at is None or terminated.reason in {"ContainerCannotRun", "StartError"}:
        return Ending(Reason.EVALUATOR_ERROR, _join(terminated.reason, terminated.message))
    if code in EXIT_REASONS and summary is None and code > 1:
        return Ending(EXIT_REASONS[code], f"the evaluator exited with {code} and left no result")
    return Ending(Reason.EVALUATOR_ERROR, f"the container exited with {_exit(code)} and left no result")


def _finished(pod: PodFacts, summary: ResultSummary | None) -> bool:
    """Whether the evaluation was done before anything happened to its pod."""
    terminated = pod.container.terminated
    return (
        terminated is not None
        and terminated.exit_code == 0
        and summary is not None
        and summary.complete
        and bool(summary.metrics)
    )


def _storage(pod: PodFacts) -> bool:
    words = pod.message.lower()
    return pod.reason == "Evicted" and ("ephemeral" in words or "emptydir" in words)


def _exit(code: int) -> str:
    try:
        return f"{code} ({signal.Signals(code - 128).name})" if code > 128 else str(code)
    except ValueError:
        return str(code)


def _words(events: tuple[EventFacts, ...]) -> str:
    return "; ".join(f"{event.reason}: {event.message}" for event in events[-2:])


def _join(head: str, tail: str) -> str:
    return f"{head}: {tail}" if head and tail and tail != head else head or tail
