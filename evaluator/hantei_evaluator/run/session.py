"""One evaluation's state, and the one way it ends: shared by the loop, the watchdog and the server."""

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING

from hantei_api.gate import Comparison
from hantei_api.metrics import Metric
from hantei_api.provenance import Provenance, Sla, SlaMetric, SlaReading
from hantei_api.reasons import Reason, Verdict
from hantei_api.result import EvaluationResult, Timings
from hantei_api.task import EvaluationTask
from hantei_evaluator.run.deadline import Deadline
from hantei_evaluator.run.logtail import LogTail, redact
from hantei_evaluator.run.progress import ProgressTracker
from hantei_evaluator.run.resume import StoredSamples

if TYPE_CHECKING:
    from hantei_evaluator.run.device import Device
    from hantei_evaluator.run.resources import ResourceSampler

MESSAGE_CHARACTERS = 2048
MAX_VERSIONS = 16
TRAINING_IMPACT_REASON = "not measured by a single evaluation"
logger = logging.getLogger(__name__)


class Phase(Enum):
    """Where the evaluation is."""

    LOADING = "loading"
    EVALUATING = "evaluating"
    PUBLISHING = "publishing"


@dataclass(frozen=True)
class Ending:
    """How the evaluation came out, before anything is published."""

    reason: Reason
    message: str = ""
    metrics: Sequence[Metric] = ()
    complete: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    precision: str = ""
    """Numbers of the forward pass: fp32, bf16 or fp16."""
    verdict: Verdict = Verdict.NONE
    comparison: Comparison | None = None


class Session:
    """What is known of the running evaluation. Fields are written by one thread each."""

    def __init__(self, task: EvaluationTask, deadline: Deadline, log_tail: LogTail) -> None:
        self.task = task
        self.deadline = deadline
        self.log_tail = log_tail
        self.progress = ProgressTracker()
        self.scratch = Path(tempfile.mkdtemp(prefix="hantei-"))
        self.phase = Phase.LOADING
        self.stall_applies = False
        self.device: Device | None = None
        self.checkpoint_sha256: str | None = None
        self.stored = StoredSamples({})
        self.output_held = False
        self.resources: ResourceSampler | None = None
        self.publish_started = 0.0
        self._started = time.monotonic()
        self._started_at = datetime.now(UTC)
        self._ready: float | None = None
        self._ended: float | None = None
        self._claim = threading.Lock()
        self._frozen: list[SlaReading] | None = None

    @property
    def output(self) -> Path | None:
        """Directory of this attempt's results."""
        return Path(self.task.output_directory) if self.task.output_directory is not None else None

    @property
    def stalled(self) -> bool:
        """No sign of life for stall_seconds, in a suite that gives any."""
        limit = self.task.limits.stall_seconds
        applies = self.stall_applies and self.phase is Phase.EVALUATING
        return applies and limit is not None and self.progress.silent_seconds() > limit

    def start_evaluating(self) -> None:
        """The suite is loaded: readiness, and the run clock."""
        self._ready = time.monotonic()
        self.deadline.ready()
        self.progress.start()
        self.phase = Phase.EVALUATING

    def claim_end(self) -> None:
        """Take the right to end the evaluation; whoever comes second waits for the process to end."""
        if not self._claim.acquire(blocking=False):
            threading.Event().wait()
        self._ended = self.publish_started = time.monotonic()
        if self.resources is not None:
            self.resources.stop()
        self._frozen = self.readings()
        self.phase = Phase.PUBLISHING

    def readings(self) -> list[SlaReading]:
        """The four service level readings and their thresholds; live until the evaluation ends, then as they ended."""
        if self._frozen is not None:
            return self._frozen
        sla, resources = self.task.sla, self.resources
        latency = self._evaluate_seconds() if self._ready is not None else None
        utilisation = resources.gpu_utilization_percent() if resources else None
        return [
            SlaReading(
                metric=SlaMetric.LATENCY_SECONDS,
                value=latency,
                threshold=sla.latency_seconds,
                reason=None if latency is not None else "the evaluation did not start",
            ),
            SlaReading(
                metric=SlaMetric.MEMORY_OVERHEAD_BYTES,
                value=resources.memory_overhead_bytes() if resources else None,
                threshold=sla.memory_overhead_bytes,
                reason=None if resources else "the evaluation did not start",
            ),
            SlaReading(
                metric=SlaMetric.TRAINING_IMPACT_PERCENT,
                threshold=sla.training_impact_percent,
                reason=TRAINING_IMPACT_REASON,
            ),
            SlaReading(
                metric=SlaMetric.GPU_UTILIZATION_PERCENT,
                value=utilisation,
                threshold=sla.gpu_utilization_percent,
                reason=(resources.utilisation_reason if resources else "no GPU is used")[:256]
                if utilisation is None
                else None,
            ),
        ]

    @property
    def frozen(self) -> bool:
        """Whether the readings are final."""
        return self._frozen is not None

    def result(self, ending: Ending) -> EvaluationResult:
        """The whole result of that ending, as of now."""
        run = self.task.run
        versions = {"hantei": version("hantei"), "python": python_version(), **ending.versions}
        versions = {name[:256]: value[:256] for name, value in list(versions.items())[:MAX_VERSIONS]}
        failed = ending.reason is not Reason.COMPLETED
        readings = self.readings()
        return EvaluationResult(
            namespace=run.namespace,
            run=run.name,
            attempt=run.attempt,
            suite=self.task.suite.name,
            training_step=self.task.training_step,
            reason=ending.reason,
            message=redact(ending.message)[:MESSAGE_CHARACTERS],
            complete=ending.complete,
            verdict=ending.verdict,
            comparison=ending.comparison,
            metrics=list(ending.metrics),
            samples_done=self.progress.done,
            samples_total=self.progress.total,
            provenance=Provenance(
                checkpoint_sha256=self.checkpoint_sha256,
                versions=versions,
                seed=self.task.seed,
                device=self.device.name if self.device else None,
                precision=ending.precision or None,
                reused_samples=len(self.stored.used),
            ),
            sla=Sla.of(readings),
            timings=Timings(
                load_seconds=round((self._ready or self._ended or time.monotonic()) - self._started, 3),
                evaluate_seconds=self._evaluate_seconds(),
            ),
            started_at=self._started_at,
            finished_at=datetime.now(UTC),
            log_tail=self.log_tail.text() if failed else None,
        )

    def remove_scratch(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _evaluate_seconds(self) -> float:
        if self._ready is None:
            return 0.0
        return round((self._ended or time.monotonic()) - self._ready, 6)
