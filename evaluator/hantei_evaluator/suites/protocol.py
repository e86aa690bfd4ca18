"""The seam between a suite and the loop round it (``run/``)."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from hantei_api.metrics import Metric
from hantei_api.task import EvaluationTask

if TYPE_CHECKING:
    import torch  # seconds to import, and the command suite does without


class Stop(Protocol):
    """Tells a suite's loop when to stop: the soft deadline, or a signal."""

    def remaining_seconds(self) -> float:
        """Seconds to the soft deadline; ``inf`` without one."""

    def requested(self) -> bool:
        """Whether the loop must stop now and hand over what it has. Cheap: ask before every batch or ply."""


class Recorder(Protocol):
    """Takes samples and progress as they come."""

    def sample(self, record: Mapping[str, Any]) -> None:
        """Append one JSON-able sample.

        ``sampleId`` is stable, so that comparisons are paired and runs resume. ``values`` holds, for every metric that
        is a mean over samples, this sample's number under the metric's name: ``{"values": {"accuracy": 1.0}}``.
        Samples that depend on one another (the two games of an opening) share ``pair``. A second sample with the same
        ``sampleId`` is dropped.
        """

    def samples(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Append many samples at once, for suites whose batches take microseconds a sample."""

    def progress(self, done: int, total: int | None) -> None:
        """Say how far the evaluation is, in samples; also the sign of life that the stall clock waits for."""


@dataclass(frozen=True)
class Context:
    """What a suite is given."""

    task: EvaluationTask
    checkpoint: Path
    inputs: Path
    """Directory that holds each input under its name."""
    scratch: Path
    """Empty directory, removed afterwards."""
    device: "torch.device"
    stop: Stop
    recorder: Recorder
    cpus: int = 1
    """Cores that the pod was given: for worker processes and threads."""
    pace: AbstractContextManager[object] = field(default_factory=nullcontext)
    """Entered round every forward pass: holds the duty cycle and the stream that the spec asks for."""
    done: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """For ``evaluate``: samples by sampleId that need not be computed again; they count in the metrics as if they had
    just been recorded, and are not recorded again. There may be more than the task asks for: looking one up says that it
    counts. Only for a suite with an ``identity``."""


@dataclass(frozen=True)
class Outcome:
    """What a suite hands back."""

    metrics: list[Metric]
    """The most important first. Empty when nothing could be measured: the run ends with MetricsUnavailable."""
    complete: bool
    """False when it was stopped before all samples were done."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of what computed, for the provenance: the engine's, the data's."""
    precision: str = ""
    """Numbers of the forward pass, for the provenance: fp32, bf16 or fp16."""
    message: str = ""
    """What a person should know beside the metrics: samples that were left out."""


class Suite(Protocol):
    """One way to evaluate a checkpoint.

    ``load`` is called once, before the evaluation counts as ready: it reads the checkpoint and the data.
    ``evaluate`` then runs the loop. Both raise ``hantei_evaluator.run.errors.EvaluationError`` with a reason for what
    a person can mend; any other exception is EvaluatorError with its traceback in the log tail.
    """

    reports_progress: ClassVar[bool]
    """False when the stall clock can't apply."""

    def load(self, context: Context) -> None:
        """Read the checkpoint and the data."""

    def identity(self, context: Context) -> Mapping[str, str] | None:
        """All that a sample depends on beside the checkpoint's digest, the seed and the sampleId.

        Called after ``load``: digests of data and opponents, versions of rules, settings that change what a sample comes
        out as; not the number of samples. Keys that begin with ``agent.`` say how the checkpoint answers (its model's
        code, its precision) and may differ between a run and its baseline; all others say what it is asked. Samples of
        another evaluation with the same identity are handed to ``evaluate`` as ``context.done``. None: samples can't be
        taken over. A suite without this method means None.
        """

    def evaluate(self, context: Context) -> Outcome:
        """Run the loop, ask ``context.stop.requested()`` often, and hand over what was measured."""
