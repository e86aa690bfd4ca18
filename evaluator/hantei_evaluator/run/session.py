"""One evaluation's state, and the one way it ends: shared by the loop, the watchdog and the server."""

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from hantei_evaluator.performance import EvaluationPerformanceSLA, ResourceMonitor
from hantei_evaluator.performance.sla import describe
from hantei_evaluator.run import memory
from hantei_evaluator.run.deadline import Deadline
from hantei_evaluator.run.logtail import LogTail, redact
from hantei_evaluator.run.progress import ProgressTracker
from hantei_evaluator.run.resume import StoredSamples

if TYPE_CHECKING:
    from hantei_evaluator.run.device import Device
    from hantei_evaluator.run.pace import Pace

MESSAGE_CHARACTERS = 2048
MAX_VERSIONS = 16
NOT_STARTED = "the evaluation did not start"
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
        if task.output_uri is not None and task.output_directory is None:
            # Uploaded from there at the end.
            self.task = task.model_copy(update={"output_directory": str(self.scratch / "output")})
        self.phase = Phase.LOADING
        self.stall_applies = False
        self.exit_on_gate = False
        """Whether a checkpoint that regressed is told by the exit code too."""
        self.device: Device | None = None
        self.checkpoint_sha256: str | None = None
        self.stored = StoredSamples({})
        self.output_held = False
        """The output holds an earlier evaluation, and whether it is this one's is not known yet: nothing may be written."""
        self.resources: ResourceMonitor | None = None
        self.pace: Pace | None = None
        self.sla = EvaluationPerformanceSLA.of(task.sla)
        self.memory_limit = memory.find()
        self.publish_started = 0.0
        self._started = time.monotonic()
        self._started_at = datetime.now(UTC)
        self._ready: float | None = None
        self._ended: float | None = None
        self._claim = threading.Lock()
        self._frozen: list[SlaReading] | None = None
        self.evaluated: Ending | None = None
        """How the checkpoint itself came out, while its baseline is still evaluated."""
        self._evaluated: float | None = None

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

    def finish_evaluating(self, ending: Ending) -> None:
        """The checkpoint itself is evaluated: what follows is the baseline's, and not this run's latency."""
        self._evaluated = time.monotonic()
        self._frozen = self.readings()
        self.evaluated = ending

    def claim_end(self) -> None:
        """Take the right to end the evaluation; whoever comes second waits for the process to end."""
        if not self.try_claim_end():
            threading.Event().wait()
        self.freeze_readings()

    def try_claim_end(self) -> bool:
        """Take the right to end the evaluation, or tell that another thread has it. Who took it freezes the readings."""
        if not self._claim.acquire(blocking=False):
            return False
        self._ended = self.publish_started = time.monotonic()
        self.phase = Phase.PUBLISHING
        return True

    def freeze_readings(self) -> None:
        """Take the last readings. A device that is lost may hang here: the watchdog cuts it short as it does publishing."""
        if self.resources is not None:
            self.resources.stop()
        self._frozen = self.readings()
        self._report()

    def readings(self) -> list[SlaReading]:
        """The four service level readings and their thresholds; live until the evaluation ends, then as they ended."""
        if self._frozen is not None:
            return self._frozen
        resources = self.resources.readings() if self.resources is not None else None
        utilisation = resources.gpu_utilization_percent if resources is not None else None
        return self.sla.readings(
            {
                SlaMetric.LATENCY_SECONDS: NOT_STARTED if self._ready is None else self._evaluate_seconds(),
                SlaMetric.MEMORY_OVERHEAD_BYTES: NOT_STARTED if resources is None else resources.memory_overhead_bytes,
                SlaMetric.TRAINING_IMPACT_PERCENT: TRAINING_IMPACT_REASON,
                SlaMetric.GPU_UTILIZATION_PERCENT: (resources.gpu_reason if resources is not None else NOT_STARTED)
                if utilisation is None
                else utilisation,
            }
        )

    def enforce_sla(self, ending: Ending) -> Ending:
        """The same ending, unless the run is to fail by its service level and broke it."""
        breaches = [describe(reading) for reading in self.readings() if reading.violated]
        if not breaches or not self.task.sla.enforce or ending.reason is not Reason.COMPLETED:
            return ending
        return replace(ending, reason=Reason.SLA_VIOLATED, message=f"{'; '.join(breaches)} (sla.enforce is set).")

    def _report(self) -> None:
        """Say in the log what the evaluation came to: breaches of its service level, and the pace it held."""
        for reading in self.readings():
            if reading.violated:
                logger.warning("SLA: %s", describe(reading))
        if self.pace is not None and (achieved := (paced := self.pace.paced()).duty_cycle_percent) is not None:
            logger.info(
                "Forward passes took %.2f s of %.2f s: a duty cycle of %.1f %%, of %d %% allowed",
                paced.forward_seconds,
                paced.wall_seconds,
                achieved,
                self.task.politeness.duty_cycle_percent,
            )

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
        return round((self._evaluated or self._ended or time.monotonic()) - self._ready, 6)
