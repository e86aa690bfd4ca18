"""EvaluationTask: what the operator hands to the evaluator, as JSON in a file. Versioned, so that either may be newer."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from hantei_api.base import Input, Sha256
from hantei_api.gate import Gate
from hantei_api.names import API_VERSION
from hantei_api.spec import Politeness, Sla, Wandb
from hantei_api.suites import Suite

FilePath = Annotated[str, StringConstraints(min_length=1, max_length=4096)]


class TaskRun(Input):
    """Which run, and which attempt of it, the task is for."""

    namespace: str = "local"
    name: str = "local"
    uid: str = "local"
    attempt: int = Field(default=1, ge=1)


class TaskArtifact(Input):
    """A file or folder that is there already (path), or is to be fetched first (uri)."""

    path: FilePath | None = None
    uri: str | None = None
    sha256: Sha256 | None = None


class TaskInput(TaskArtifact):
    """One of the run's inputs."""

    name: str


class TaskLimits(Input):
    """How long, and on what, the evaluation may run."""

    run_seconds: float | None = Field(default=None, gt=0)
    """What is left of the run clock; counts from readiness. None: only the wall counts."""
    wall_seconds: float | None = Field(default=None, gt=0)
    """The pod's activeDeadlineSeconds; counts from the pod's start, which the task file's time of writing shows. None: no wall."""
    grace_seconds: float = Field(default=5, ge=0)
    publish_seconds: float = Field(default=60, gt=0)
    stall_seconds: float | None = Field(default=None, gt=0)
    gpus: int = Field(default=0, ge=0)
    """GPUs that the pod holds: one that torch can't use is DeviceUnavailable, unless allow_cpu."""
    allow_cpu: bool = False
    scratch_bytes: int | None = Field(default=None, ge=1)
    """Cap on what is fetched by URI."""


class TaskBaseline(Input):
    """What the checkpoint is compared with: the samples of a finished run, or another checkpoint."""

    name: str
    """As the comparison names it: run NAME, or checkpoint."""
    directory: FilePath | None = None
    """Directory of a finished run's attempt, or an fsspec URI of one, that holds result.json and samples.jsonl."""
    checkpoint: TaskArtifact | None = None


class EvaluationTask(Input):
    """All that an evaluator needs to know."""

    api_version: Literal["hantei.dev/v1alpha1"] = Field(default=API_VERSION)
    kind: Literal["EvaluationTask"] = "EvaluationTask"
    run: TaskRun = TaskRun()
    checkpoint: TaskArtifact
    training_step: int | None = None
    inputs: list[TaskInput] = Field(default_factory=list)
    suite: Suite
    seed: int = 0
    limits: TaskLimits = TaskLimits()
    sla: Sla = Sla()
    politeness: Politeness = Politeness()
    baseline: TaskBaseline | None = None
    gate: Gate | None = None
    output_directory: FilePath | None = None
    """Directory of this attempt; result.json and samples.jsonl are written into it. None: only the summary is kept."""
    output_root: FilePath | None = None
    """The output's own directory, which all runs share: ratings (eloRegistry) and the cache of samples lie in it."""
    cache_directory: FilePath | None = None
    """Where runs find the samples of earlier ones. None: in output_root, or nowhere."""
    output_uri: FilePath | None = None
    """fsspec URI of this attempt's directory: what lies in output_directory is uploaded there at the end."""
    wandb: Wandb | None = None
