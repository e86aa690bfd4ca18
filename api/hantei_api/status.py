"""EvaluationRun.status: what became of the run, readable at a glance and small enough for etcd."""

from enum import StrEnum, unique
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from hantei_api.base import Output
from hantei_api.gate import Comparison
from hantei_api.metrics import MAX_METRICS, Metric
from hantei_api.provenance import Provenance, Sla
from hantei_api.reasons import Reason, Verdict

Message = Annotated[str, StringConstraints(max_length=2048)]
LogTail = Annotated[str, StringConstraints(max_length=4096)]
Name = Annotated[str, StringConstraints(max_length=253)]
Identifier = Annotated[str, StringConstraints(max_length=64)]

MAX_ATTEMPTS = 32


@unique
class Phase(StrEnum):
    """Where a run is."""

    PENDING = "Pending"
    QUEUED = "Queued"
    STARTING = "Starting"
    RUNNING = "Running"
    PUBLISHING = "Publishing"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@unique
class ConditionType(StrEnum):
    """The conditions of a run."""

    ACCEPTED = "Accepted"
    CAPACITY_RESERVED = "CapacityReserved"
    STARTED = "Started"
    RESULTS_PUBLISHED = "ResultsPublished"
    WANDB_SYNCED = "WandbSynced"
    FINISHED = "Finished"


class Condition(Output):
    """A condition as metav1 has it."""

    type: ConditionType = Field(description="Which condition.")
    status: Annotated[str, StringConstraints(pattern="^(True|False|Unknown)$", max_length=7)] = Field(
        description="True, False or Unknown."
    )
    reason: Annotated[
        str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
    ] = Field(description="Why, in one word; for Finished the run's reason.")
    message: Message = Field(default="", description="Why, and what to do next.")
    last_transition_time: AwareDatetime = Field(description="When status last changed.")
    observed_generation: int | None = Field(
        default=None, ge=0, description="The generation of the spec that was looked at."
    )


class Attempt(Output):
    """One Job, and what became of it."""

    number: int = Field(ge=1, description="1 for the first attempt.")
    job_name: Name = Field(description="The attempt's Job; its name follows from the run's UID and the attempt.")
    job_uid: Identifier | None = Field(default=None, description="UID of the Job, once it was seen.")
    pod_name: Name | None = Field(default=None, description="The attempt's pod.")
    node_name: Name | None = Field(default=None, description="Node of the pod.")
    reserved_at: AwareDatetime = Field(description="When capacity was reserved for it.")
    scheduled_at: AwareDatetime | None = Field(default=None, description="When the pod was bound to its node.")
    ready_at: AwareDatetime | None = Field(
        default=None, description="When the evaluation was ready to run: the run clock starts here."
    )
    ended_at: AwareDatetime | None = Field(default=None, description="When the attempt ended.")
    gpus: int = Field(default=0, ge=0, description="GPUs it held.")
    stopping: Reason | None = Field(
        default=None, description="Why the operator is stopping it; this reason wins over the pod's own."
    )
    stopping_since: AwareDatetime | None = Field(default=None, description="When the operator began to stop it.")
    reason: Reason | None = Field(default=None, description="Why the attempt ended.")
    message: Message | None = Field(default=None, description="The scheduler's, kubelet's or evaluator's own words.")
    exit_code: int | None = Field(default=None, description="Exit code of the evaluator.")


class ClockReadings(Output):
    """How long each part has taken so far, in seconds, summed over attempts."""

    queued: float = Field(default=0.0, ge=0, description="Waiting for capacity and a node, in seconds.")
    starting: float = Field(default=0.0, ge=0, description="From the pod's binding to its readiness, in seconds.")
    running: float = Field(default=0.0, ge=0, description="Evaluating, in seconds.")
    publishing: float = Field(default=0.0, ge=0, description="Writing results and logging, in seconds.")


class GpuSeconds(Output):
    """GPU-seconds: GPUs held times the seconds they were held for."""

    starting: float = Field(default=0.0, ge=0, description="GPU-seconds spent on starting.")
    running: float = Field(default=0.0, ge=0, description="GPU-seconds spent on evaluating.")
    publishing: float = Field(default=0.0, ge=0, description="GPU-seconds spent on publishing.")
    wasted: float = Field(default=0.0, ge=0, description="GPU-seconds of attempts that gave no result.")


class Progress(Output):
    """How far the evaluation is; decoration only."""

    done: int = Field(ge=0, le=2**53, description="Samples done.")
    total: int | None = Field(default=None, ge=0, le=2**53, description="Samples in all, when that is known.")
    eta_seconds: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="Estimated seconds to the end, from the mean rate so far."
    )
    text: Identifier | None = Field(default=None, description="The same in words, for kubectl get: 63%.")


class Failure(Output):
    """The evidence of a failure, kept after the pod is gone."""

    exit_code: int | None = Field(default=None, description="Exit code of the evaluator.")
    reason: Reason = Field(description="Why it failed.")
    node: Name | None = Field(default=None, description="Node where it failed.")
    log_tail: LogTail | None = Field(default=None, description="The end of the evaluator's log.")


class ResultsLocation(Output):
    """Where the full results are."""

    uri: Annotated[str, StringConstraints(max_length=4096)] | None = Field(
        default=None, description="The directory's URI, when they are not in a claim."
    )
    claim_name: Name | None = Field(default=None, description="The PersistentVolumeClaim they are in.")
    path: Annotated[str, StringConstraints(max_length=2048)] | None = Field(
        default=None, description="Directory inside the volume."
    )
    complete: bool | None = Field(
        default=None, description="False when the evaluation was cut short and the results are partial."
    )
    wandb_url: Annotated[str, StringConstraints(max_length=512)] | None = Field(
        default=None, description="The W&B run."
    )


class RunStatus(Output):
    """What became of a run."""

    suite: Identifier | None = Field(default=None, description="The suite that spec.suite sets, for kubectl get.")
    gpus: int | None = Field(
        default=None,
        ge=0,
        description="The GPUs that the run asks for, spec.resources.gpus or its default, for kubectl get.",
    )
    phase: Phase = Field(
        default=Phase.PENDING, description="Pending, Queued, Starting, Running, Publishing, Succeeded or Failed."
    )
    reason: Reason | None = Field(default=None, description="Why it ended, from a closed list.")
    message: Message | None = Field(default=None, description="What happened and what to do next.")
    observed_generation: int | None = Field(
        default=None, ge=0, description="The generation of the spec that was looked at."
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=8,
        description="Accepted, CapacityReserved, Started, ResultsPublished, WandbSynced, Finished. Finished is True once, for success and failure alike.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    verdict: Verdict | None = Field(
        default=None, description="Pass, Regressed, NotSignificant, Underpowered, or None without a baseline."
    )
    comparison: Comparison | None = Field(
        default=None, description="How the deciding metric came out against the baseline."
    )
    score: Identifier | None = Field(
        default=None, description="The first metric with its standard error, for kubectl get."
    )
    metrics: list[Metric] = Field(
        default_factory=list, max_length=MAX_METRICS, description="What was measured, the most important first."
    )
    metrics_truncated: bool | None = Field(
        default=None, description="True when the least important metrics were dropped here; the results have all."
    )
    metrics_partial: bool | None = Field(
        default=None,
        description="True when the evaluation was cut short and the metrics rest on a part of the samples.",
    )
    attempts: list[Attempt] = Field(
        default_factory=list, max_length=MAX_ATTEMPTS, description="One entry a Job, the last is the current one."
    )
    clocks: ClockReadings | None = Field(default=None, description="How long each part has taken, in seconds.")
    gpu_seconds: GpuSeconds | None = Field(default=None, description="GPUs held times the seconds they were held for.")
    queued_since: AwareDatetime | None = Field(
        default=None,
        description="When the current wait for capacity and a node began; absent while suspended or placed.",
    )
    queue_position: int | None = Field(default=None, ge=0, description="Runs ahead of this one in the queue.")
    progress: Progress | None = Field(default=None, description="How far the evaluation is.")
    job_name: Name | None = Field(default=None, description="The current attempt's Job.")
    pod_name: Name | None = Field(default=None, description="The current attempt's pod.")
    node_name: Name | None = Field(default=None, description="Node of the current attempt's pod.")
    finished_at: AwareDatetime | None = Field(default=None, description="When the run finished.")
    duration: Identifier | None = Field(
        default=None, description="Seconds from the pod's binding to its end, for kubectl get."
    )
    failure: Failure | None = Field(default=None, description="The evidence of a failure, kept after the pod is gone.")
    provenance: Provenance | None = Field(
        default=None, description="What computed what: image digest, checkpoint, versions, seed, device."
    )
    results: ResultsLocation | None = Field(default=None, description="Where the full results are.")
    sla: Sla | None = Field(default=None, description="How the service level readings came out.")

    def condition(self, kind: ConditionType) -> Condition | None:
        """The condition of that type, if it was set."""
        return next((condition for condition in self.conditions if condition.type is kind), None)

    @property
    def finished(self) -> bool:
        """Whether the run has ended; it never un-ends."""
        condition = self.condition(ConditionType.FINISHED)
        return condition is not None and condition.status == "True"
