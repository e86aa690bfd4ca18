"""EvaluationRun.spec: what a person asks for. It carries intent, never a pod template."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from hantei_api.artifacts import (
    CREDENTIALS_NEED_URI,
    ONE_SOURCE,
    PATH_RULE,
    Artifact,
    SecretName,
    Uri,
)
from hantei_api.base import DNS_LABEL, Input, ObjectName, Quantity, RelativePath, cel, rules
from hantei_api.gate import Baseline, Gate
from hantei_api.suites import Suite


class Checkpoint(Artifact):
    """The checkpoint that is evaluated."""

    model_config = ConfigDict(json_schema_extra=rules(ONE_SOURCE, CREDENTIALS_NEED_URI))

    training_step: int | None = Field(
        default=None, ge=0, le=2**53, description="The training step it was saved at; metrics are logged against it."
    )


class InputArtifact(Artifact):
    """A data set, an opening set, an opponent or model code; read-only under /inputs/NAME."""

    model_config = ConfigDict(json_schema_extra=rules(ONE_SOURCE, CREDENTIALS_NEED_URI))

    name: Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=DNS_LABEL)] = Field(
        description="The input's name: it appears as /inputs/NAME."
    )


class Resources(Input):
    """What the pod gets: requests equal limits."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.gpuResource) || !self.gpuResource.split('/')[0].endsWith('kubernetes.io')",
                "gpuResource must be an extended resource of a device plugin, for example nvidia.com/gpu",
            )
        )
    )

    gpus: int = Field(default=1, ge=0, le=64, description="Number of GPUs; 0 for a run on the CPU alone. Default 1.")
    gpu_resource: Annotated[
        str,
        StringConstraints(
            min_length=3,
            max_length=253,
            pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
        ),
    ] = Field(
        default="nvidia.com/gpu",
        description="The extended resource that is one GPU: nvidia.com/gpu, or a MIG name such as nvidia.com/mig-1g.10gb. Default nvidia.com/gpu.",
    )
    cpu: Quantity = Field(default="1", description="CPU cores, as a Kubernetes quantity. Default 1.")
    memory: Quantity = Field(default="4Gi", description="Memory, as a Kubernetes quantity. Default 4Gi.")
    ephemeral_storage: Quantity = Field(
        default="2Gi", description="Scratch space on the node's disk, as a Kubernetes quantity. Default 2Gi."
    )
    node_selector: dict[
        Annotated[str, StringConstraints(max_length=317)],
        Annotated[str, StringConstraints(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")],
    ] = Field(
        default_factory=dict,
        max_length=16,
        description="Labels of the nodes to run on. Only keys that the chart's evaluations.nodeSelectorKeys allows.",
    )
    allow_cpu: bool = Field(
        default=False,
        description="Evaluate on the CPU when the pod's GPU can't be used. Without it such a run ends with DeviceUnavailable. Default false.",
    )


class Sla(Input):
    """Thresholds of the service level readings: recorded, and violations counted; a run fails by them only with enforce."""

    latency_seconds: float = Field(
        default=5.0, gt=0, le=86400, description="Wall time of the evaluation itself, in seconds. Default 5."
    )
    memory_overhead_bytes: int = Field(
        default=500_000_000,
        ge=1,
        le=2**50,
        description="Peak device memory plus growth of resident memory, in bytes. Default 500000000.",
    )
    training_impact_percent: float = Field(
        default=5.0, ge=0, le=100, description="Loss of training throughput, in percent. Default 5."
    )
    gpu_utilization_percent: float = Field(
        default=80.0, ge=0, le=100, description="Highest mean GPU utilisation, in percent. Default 80."
    )
    enforce: bool = Field(
        default=False,
        description="End a run that breaks a threshold with SlaViolated; its metrics are kept. Default false: breaches are recorded and counted.",
    )


class Politeness(Input):
    """How an evaluation spares a training that computes on the same device."""

    duty_cycle_percent: int = Field(
        default=100,
        ge=1,
        le=100,
        description="Share of the evaluation's wall time that is spent in forward passes, in percent. Default 100.",
    )
    hold_utilization: bool = Field(
        default=False,
        description="Lower the duty cycle further while the device's utilisation is above sla.gpuUtilizationPercent. Default false.",
    )
    low_priority_stream: bool = Field(
        default=True, description="Compute on a CUDA stream of the lowest priority that the device has. Default true."
    )
    gpu_memory_fraction: float | None = Field(
        default=None,
        ge=0.01,
        le=1,
        description="The most of the device's memory that torch may allocate, as a fraction. Default: no cap.",
    )


class Clocks(Input):
    """How long each part of a run may take, in seconds; each has its own reason when it runs out."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "(has(self.startSeconds) ? self.startSeconds : 120) <= (has(self.wallSeconds) ? self.wallSeconds : 300)",
                "startSeconds (default 120) must not be more than wallSeconds (default 300): lower it, or raise wallSeconds",
                field_path=".startSeconds",
            ),
            cel(
                "!has(self.runSeconds) || self.runSeconds <= (has(self.wallSeconds) ? self.wallSeconds : 300)",
                "runSeconds must not be more than wallSeconds (default 300): lower it, or raise wallSeconds",
                field_path=".runSeconds",
            ),
        )
    )

    queue_seconds: int = Field(
        default=3600,
        ge=1,
        le=2_592_000,
        description="Waiting for capacity and for a node. Then QueueTimeout or Unschedulable. Default 3600.",
    )
    start_seconds: int = Field(
        default=120,
        ge=1,
        le=86400,
        description="From the pod's start to its readiness: volumes, image, checkpoint. Then StartTimeout or ImagePullError. Default 120.",
    )
    run_seconds: int | None = Field(
        default=None,
        ge=1,
        le=86400,
        description="Evaluating, summed over attempts. Then DeadlineExceeded with partial metrics. Default: what wallSeconds leaves.",
    )
    wall_seconds: int = Field(
        default=300,
        ge=15,
        le=86400,
        description="Start and run together: the pod's activeDeadlineSeconds. Default 300; the chart's evaluations.maxWallSeconds is the most.",
    )
    publish_seconds: int = Field(
        default=60,
        ge=1,
        le=86400,
        description="Writing results and logging to W&B. Then PublishTimeout on ResultsPublished or WandbSynced. Default 60.",
    )
    stall_seconds: int = Field(
        default=120,
        ge=5,
        le=86400,
        description="Without any progress. Then Hung. Not for the command suite, which reports none. Default 120.",
    )

    @model_validator(mode="after")
    def _wall_is_the_most(self) -> "Clocks":
        for name in ("start_seconds", "run_seconds"):
            if (getattr(self, name) or 0) > self.wall_seconds:
                raise ValueError(f"clocks.{name} is more than wall_seconds ({self.wall_seconds} s)")
        return self


class Retries(Input):
    """Two budgets, never mixed."""

    infrastructure: int = Field(
        default=3, ge=0, le=10, description="New attempts after a lost node, an eviction or a pull error. Default 3."
    )
    evaluation: int = Field(
        default=0, ge=0, le=10, description="New attempts after the evaluation's own failure. Default 0."
    )


class OnPreemption(StrEnum):
    """What happens when a pod of higher priority takes the place of the evaluation's."""

    REQUEUE = "Requeue"
    DROP = "Drop"


class ClaimDirectory(Input):
    """A directory in a PersistentVolumeClaim of the run's namespace, mounted read-write."""

    claim_name: ObjectName = Field(description="Name of a PersistentVolumeClaim in the run's namespace.")
    path: RelativePath | None = Field(
        default=None, description="Directory inside the volume. Default: its root.", json_schema_extra=rules(PATH_RULE)
    )


class OutputTarget(Input):
    """Where full results go: DIRECTORY/NAMESPACE/RUN/attempt-N/{result.json,samples.jsonl}."""

    model_config = ConfigDict(json_schema_extra=rules(ONE_SOURCE, CREDENTIALS_NEED_URI))

    pvc: ClaimDirectory | None = Field(
        default=None, description="A directory in a PersistentVolumeClaim of the run's namespace."
    )
    uri: Uri | None = Field(
        default=None,
        description="An fsspec URI of a directory (s3, gs, file) that results are uploaded into when the evaluation ends.",
    )
    credentials_secret_name: SecretName | None = Field(
        default=None,
        description="Secret of the run's namespace whose keys become environment variables of the evaluator. For uri.",
    )

    @model_validator(mode="after")
    def _one_target(self) -> "OutputTarget":
        if (self.pvc is None) == (self.uri is None):
            raise ValueError("output: name exactly one of pvc, uri")
        return self


class WandbMode(StrEnum):
    """When metrics reach W&B."""

    ONLINE = "online"
    OFFLINE = "offline"


class Wandb(Input):
    """Logging to Weights & Biases; being unable to never changes a verdict."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "(has(self.mode) && self.mode == 'offline') || has(self.secretName)",
                "online logging needs secretName, a Secret with the key WANDB_API_KEY; or set mode: offline",
            )
        )
    )

    project: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^/\\#?%:\x00]+$")] = Field(
        description="The W&B project."
    )
    entity: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        default=None, description="The W&B entity. Default: the API key's."
    )
    group: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        default=None, description="The W&B group: the name of the training run."
    )
    mode: WandbMode = Field(
        default=WandbMode.ONLINE,
        description="online: from the pod, with bounded time-outs. offline: a run directory in the output, for `wandb sync`. Default online.",
    )
    secret_name: SecretName | None = Field(
        default=None,
        description="Secret of the run's namespace with WANDB_API_KEY and, for a server of one's own, WANDB_BASE_URL.",
    )


class TtlSecondsAfterFinished(Input):
    """How long a finished run stays, by outcome. Default: for ever."""

    succeeded: int | None = Field(
        default=None, ge=0, le=31_536_000, description="Seconds after which a succeeded run is deleted. Default: never."
    )
    failed: int | None = Field(
        default=None, ge=0, le=31_536_000, description="Seconds after which a failed run is deleted. Default: never."
    )


MUTABLE_FIELDS = frozenset({"suspend", "cancel", "ttlSecondsAfterFinished"})
"""All other fields of the spec are immutable from creation, by one generated rule each."""


class EvaluationRunSpec(Input):
    """One evaluation of one checkpoint."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!(has(oldSelf.cancel) && oldSelf.cancel) || (has(self.cancel) && self.cancel)",
                "a cancelled run stays cancelled: create a new run",
                field_path=".cancel",
            ),
            cel(
                "!has(self.wandb) || has(self.output) || !has(self.wandb.mode) || self.wandb.mode != 'offline'",
                "wandb.mode offline needs output: the run directory is kept there for `wandb sync`",
                field_path=".wandb",
            ),
            cel(
                "!has(self.gate) || !has(self.gate.maxDrop) || has(self.baseline)",
                "gate.maxDrop needs baseline: name the run or checkpoint that the drop is measured against",
                field_path=".gate",
            ),
            cel(
                "!has(self.suite.shogi) || !has(self.suite.shogi.eloRegistry) || (has(self.output) && has(self.output.pvc))",
                "suite.shogi.eloRegistry needs output.pvc: the ratings are kept in that directory",
                field_path=".suite",
            ),
            cel(
                "!has(self.suite.command) || !has(self.baseline) || !has(self.baseline.checkpoint)",
                "baseline.checkpoint is not for the command suite: evaluate the baseline in a run of its own and name it as baseline.run",
                field_path=".baseline",
            ),
        )
    )

    checkpoint: Checkpoint = Field(description="The checkpoint that is evaluated.")
    inputs: list[InputArtifact] = Field(
        default_factory=list,
        max_length=16,
        description="Data sets, opponents, model code; read-only under /inputs/NAME.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    image: (
        Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]*$")] | None
    ) = Field(
        default=None,
        description="Image to evaluate in, made FROM the evaluator image; it must start with one of the chart's evaluations.imagePrefixes. Default: the evaluator image.",
    )
    suite: Suite = Field(description="What is evaluated: exactly one suite.")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Seed of every random choice. Default 0.")
    resources: Resources = Field(default=Resources(), description="What the pod gets: requests equal limits.")
    sla: Sla = Field(
        default=Sla(), description="Thresholds of the service level readings: recorded, and violations counted."
    )
    politeness: Politeness = Field(
        default=Politeness(), description="How the evaluation spares a training that computes on the same device."
    )
    baseline: Baseline | None = Field(
        default=None, description="What the checkpoint is compared with. Default: nothing, and the verdict is None."
    )
    gate: Gate | None = Field(
        default=None,
        description="When the checkpoint is good enough. Default: a baseline gives a verdict and fails nothing.",
    )
    clocks: Clocks = Field(default=Clocks(), description="How long each part may take, in seconds.")
    retries: Retries = Field(default=Retries(), description="How many new attempts a run gets, in two budgets.")
    on_preemption: OnPreemption = Field(
        default=OnPreemption.REQUEUE,
        description="Requeue: a new attempt, which spends no retry. Drop: the run ends with Preempted. Default Requeue.",
    )
    output: OutputTarget | None = Field(
        default=None, description="Where full results and samples are kept. Default: only status keeps the metrics."
    )
    wandb: Wandb | None = Field(default=None, description="Logging to Weights & Biases. Default: none.")
    suspend: bool = Field(
        default=False,
        description="Stop and wait: the pod ends, the clocks stand still, no retry is spent. Default false.",
    )
    cancel: bool = Field(default=False, description="End the run with Cancelled; can't be taken back. Default false.")
    ttl_seconds_after_finished: TtlSecondsAfterFinished = Field(
        default=TtlSecondsAfterFinished(), description="How long a finished run stays, by outcome. Default: for ever."
    )
