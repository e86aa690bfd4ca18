"""Why a run, or an attempt of it, ended: one closed list from which every other list is generated."""

from dataclasses import dataclass
from enum import StrEnum, unique
from types import MappingProxyType


@unique
class Budget(StrEnum):
    """Which retry budget an ended attempt draws on."""

    NONE = "none"
    """The same attempt again would end the same way."""
    FREE = "free"
    """Not the run's doing and not a fault: another attempt costs nothing."""
    INFRASTRUCTURE = "infrastructure"
    EVALUATION = "evaluation"


@unique
class Reason(StrEnum):
    """The closed reasons of EvaluationRun.status.reason."""

    COMPLETED = "Completed"
    GATE_FAILED = "GateFailed"
    INVALID_TASK = "InvalidTask"
    CHECKPOINT_MISSING = "CheckpointMissing"
    CHECKPOINT_INCOMPLETE = "CheckpointIncomplete"
    CHECKPOINT_INVALID = "CheckpointInvalid"
    SOURCE_UNAVAILABLE = "SourceUnavailable"
    VOLUME_UNAVAILABLE = "VolumeUnavailable"
    OOM_KILLED = "OOMKilled"
    MEMORY_LIMIT_REACHED = "MemoryLimitReached"
    STORAGE_FULL = "StorageFull"
    DEVICE_UNAVAILABLE = "DeviceUnavailable"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    START_TIMEOUT = "StartTimeout"
    QUEUE_TIMEOUT = "QueueTimeout"
    PUBLISH_TIMEOUT = "PublishTimeout"
    IMAGE_PULL_ERROR = "ImagePullError"
    UNSCHEDULABLE = "Unschedulable"
    POD_REJECTED = "PodRejected"
    NODE_LOST = "NodeLost"
    POD_LOST = "PodLost"
    EVICTED = "Evicted"
    PREEMPTED = "Preempted"
    HUNG = "Hung"
    METRICS_UNAVAILABLE = "MetricsUnavailable"
    SLA_VIOLATED = "SlaViolated"
    EVALUATOR_ERROR = "EvaluatorError"
    NAME_CONFLICT = "NameConflict"
    SUPERSEDED = "Superseded"
    CANCELLED = "Cancelled"


@dataclass(frozen=True)
class ReasonFacts:
    """What follows from a reason: the budget of a retry, and what a person does about it."""

    budget: Budget
    advice: str


FACTS = MappingProxyType(
    {
        Reason.COMPLETED: ReasonFacts(Budget.NONE, "Read status.verdict and status.metrics."),
        Reason.GATE_FAILED: ReasonFacts(
            Budget.NONE, "Compare status.metrics with the baseline's before this checkpoint is used."
        ),
        Reason.INVALID_TASK: ReasonFacts(Budget.NONE, "Correct the spec in a new run: a run's spec can't be changed."),
        Reason.CHECKPOINT_MISSING: ReasonFacts(
            Budget.NONE, "Check spec.checkpoint (and spec.inputs) against what lies in the volume or at the URI."
        ),
        Reason.CHECKPOINT_INCOMPLETE: ReasonFacts(
            Budget.NONE, "Create a run again when the checkpoint is written completely."
        ),
        Reason.CHECKPOINT_INVALID: ReasonFacts(
            Budget.NONE, "Save the checkpoint with torch.save(state_dict) or safetensors and create a new run."
        ),
        Reason.SOURCE_UNAVAILABLE: ReasonFacts(
            Budget.INFRASTRUCTURE, "See whether the server of the URI can be reached from the pods of this namespace."
        ),
        Reason.VOLUME_UNAVAILABLE: ReasonFacts(
            Budget.NONE,
            "Check that the PersistentVolumeClaim exists in the run's namespace, is bound and can be mounted where the pod runs.",
        ),
        Reason.OOM_KILLED: ReasonFacts(Budget.EVALUATION, "Raise spec.resources.memory or lower the batch size."),
        Reason.MEMORY_LIMIT_REACHED: ReasonFacts(
            Budget.EVALUATION,
            "Raise spec.resources.memory or lower the batch size; partial metrics are in status.metrics.",
        ),
        Reason.STORAGE_FULL: ReasonFacts(
            Budget.NONE, "Raise spec.resources.ephemeralStorage or write less to the scratch directory."
        ),
        Reason.DEVICE_UNAVAILABLE: ReasonFacts(
            Budget.NONE,
            "Use an image whose CUDA build fits the node's driver, or set spec.resources.allowCpu: true to evaluate on the CPU knowingly.",
        ),
        Reason.DEADLINE_EXCEEDED: ReasonFacts(
            Budget.NONE,
            "Raise spec.clocks.runSeconds or wallSeconds, or ask for fewer samples; partial metrics are in status.metrics.",
        ),
        Reason.START_TIMEOUT: ReasonFacts(
            Budget.INFRASTRUCTURE, "Look at what the pod waited for (message), or raise spec.clocks.startSeconds."
        ),
        Reason.QUEUE_TIMEOUT: ReasonFacts(
            Budget.NONE, "Raise spec.clocks.queueSeconds, or the chart's evaluations.maxConcurrent."
        ),
        Reason.PUBLISH_TIMEOUT: ReasonFacts(
            Budget.NONE, "Check that spec.output can be written, or raise spec.clocks.publishSeconds."
        ),
        Reason.IMAGE_PULL_ERROR: ReasonFacts(
            Budget.INFRASTRUCTURE, "Check spec.image, and the chart's evaluations.podDefaults.imagePullSecrets."
        ),
        Reason.UNSCHEDULABLE: ReasonFacts(
            Budget.NONE, "Ask for what a node has (spec.resources), or raise spec.clocks.queueSeconds to wait longer."
        ),
        Reason.POD_REJECTED: ReasonFacts(
            Budget.INFRASTRUCTURE,
            "Mend what refused the pod (message): a quota, an admission webhook, a missing service account.",
        ),
        Reason.NODE_LOST: ReasonFacts(Budget.INFRASTRUCTURE, "Look at the node named in status.failure.node."),
        Reason.POD_LOST: ReasonFacts(
            Budget.INFRASTRUCTURE, "Somebody or something deleted the evaluation's pod or Job; create a new run."
        ),
        Reason.EVICTED: ReasonFacts(
            Budget.INFRASTRUCTURE,
            "Create a new run, or raise spec.retries.infrastructure on clusters that drain nodes often.",
        ),
        Reason.PREEMPTED: ReasonFacts(
            Budget.FREE, "Create a new run when the GPUs are free, or set spec.onPreemption: Requeue."
        ),
        Reason.HUNG: ReasonFacts(
            Budget.EVALUATION, "Look at the stacks in status.failure.logTail, or raise spec.clocks.stallSeconds."
        ),
        Reason.METRICS_UNAVAILABLE: ReasonFacts(
            Budget.EVALUATION, "Let the evaluation write at least one finite metric with n > 0."
        ),
        Reason.SLA_VIOLATED: ReasonFacts(
            Budget.NONE,
            "Read status.sla: raise the threshold in spec.sla, ask for less, or set spec.sla.enforce: false. The metrics are kept.",
        ),
        Reason.EVALUATOR_ERROR: ReasonFacts(
            Budget.EVALUATION, "Read status.failure.logTail; run the same task with `hantei evaluate` on your machine."
        ),
        Reason.NAME_CONFLICT: ReasonFacts(
            Budget.NONE, "Delete or rename the Job that holds the name, which does not belong to this run."
        ),
        Reason.SUPERSEDED: ReasonFacts(Budget.NONE, "Look at the newer run of the same schedule."),
        Reason.CANCELLED: ReasonFacts(Budget.NONE, "Create a new run if the evaluation is wanted after all."),
    }
)


@unique
class Verdict(StrEnum):
    """What the metrics say against the baseline; None without one."""

    PASS = "Pass"  # noqa: S105  # a verdict, no password
    REGRESSED = "Regressed"
    NOT_SIGNIFICANT = "NotSignificant"
    UNDERPOWERED = "Underpowered"
    NONE = "None"


EXIT_REASONS = MappingProxyType(
    {
        0: Reason.COMPLETED,
        1: Reason.GATE_FAILED,
        64: Reason.INVALID_TASK,
        65: Reason.CHECKPOINT_INVALID,
        66: Reason.CHECKPOINT_MISSING,
        69: Reason.DEVICE_UNAVAILABLE,
        70: Reason.EVALUATOR_ERROR,
        75: Reason.DEADLINE_EXCEEDED,
    }
)
"""The evaluator's exit codes (sysexits.h) and what each means when no summary says it more exactly."""

EVALUATOR_REASONS = MappingProxyType(
    {
        Reason.COMPLETED: 0,
        Reason.GATE_FAILED: 0,
        Reason.INVALID_TASK: 64,
        Reason.CHECKPOINT_INVALID: 65,
        Reason.CHECKPOINT_INCOMPLETE: 65,
        Reason.CHECKPOINT_MISSING: 66,
        Reason.SOURCE_UNAVAILABLE: 69,
        Reason.DEVICE_UNAVAILABLE: 69,
        Reason.EVALUATOR_ERROR: 70,
        Reason.METRICS_UNAVAILABLE: 70,
        Reason.STORAGE_FULL: 70,
        Reason.SLA_VIOLATED: 70,
        Reason.MEMORY_LIMIT_REACHED: 75,
        Reason.DEADLINE_EXCEEDED: 75,
        Reason.HUNG: 75,
        Reason.POD_LOST: 75,
    }
)
"""The reasons that an evaluator may give, and the exit code that goes with each.

A summary comes out of the user's image, so the operator believes no other reason from it. PodLost is
what an evaluator says that was told to stop (SIGTERM) without knowing why: the operator, who does, says it better.
"""
