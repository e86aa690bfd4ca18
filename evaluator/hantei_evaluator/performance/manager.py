"""Runs evaluations from Python with safeguards: few at once, each in a process that is ended at its timeout."""

import asyncio
import logging
import multiprocessing
import pickle
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any, Final

from hantei_api.provenance import Sla, SlaMetric
from hantei_api.reasons import Reason
from hantei_evaluator.performance import worker
from hantei_evaluator.performance.monitor import ResourceReadings
from hantei_evaluator.performance.sla import EvaluationPerformanceSLA, describe
from hantei_evaluator.run.children import kill_tree, signal_group
from hantei_evaluator.run.errors import EvaluationError

TIMEOUT_SECONDS: Final = 300.0
_POLL_SECONDS: Final = 0.05
NO_IMPACT: Final = "no training_impact was given: it is measured where the training runs"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SafeguardedEvaluation:
    """What an evaluation returned, and what it cost."""

    value: Any
    sla: Sla
    resources: ResourceReadings


class SlaViolatedError(EvaluationError):
    """A threshold was exceeded and the manager enforces them; ``evaluation`` has the result all the same."""

    def __init__(self, evaluation: SafeguardedEvaluation, message: str) -> None:
        super().__init__(Reason.SLA_VIOLATED, message)
        self.evaluation = evaluation


class EvaluationPerformanceManager:
    """Runs evaluations one behind another, each bounded in time and measured against the service level.

    At most ``max_concurrent`` evaluations run at once, over all threads and event loops that share the manager; the
    others wait, and their timeout does not count meanwhile. ``enforce`` raises SlaViolatedError for a breach, which is
    else logged, counted in ``violations`` and told in the result.
    """

    def __init__(
        self,
        max_concurrent: int = 1,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        sla: EvaluationPerformanceSLA | None = None,
        enforce: bool = False,
        gpu_uuid: str | None = None,
    ) -> None:
        if max_concurrent < 1:
            raise ValueError(f"max_concurrent is {max_concurrent}: at least 1 evaluation must be allowed to run")
        if not timeout_seconds > 0:
            raise ValueError(f"timeout_seconds is {timeout_seconds}: name a time above 0 s")
        self.sla = sla or EvaluationPerformanceSLA()
        self.violations: Counter[SlaMetric] = Counter()
        """Breaches so far, by reading."""
        self._places = threading.BoundedSemaphore(max_concurrent)
        self._timeout_seconds = timeout_seconds
        self._enforce = enforce
        self._gpu_uuid = gpu_uuid

    async def run_evaluation_with_safeguards(
        self, evaluate: Any, *arguments: Any, training_impact: Callable[[], float | None] | None = None
    ) -> SafeguardedEvaluation:
        """Call ``evaluate(*arguments)`` in a child process and return what it returned, and what it cost.

        ``evaluate`` is a function, a coroutine function, or an object with a method ``evaluate`` of either kind. It and
        its arguments go to the process by pickle, so a function lies at the top of a module. The process is a fresh one
        (``spawn``): it may use CUDA although this one does.

        ``training_impact`` is asked once the evaluation has ended for the loss of training throughput that the caller
        measured meanwhile, in percent (see ``training_impact_percent``).

        Raises EvaluationError with Reason.DEADLINE_EXCEEDED when the timeout passed, and with EVALUATOR_ERROR when the
        process ended without an answer; SlaViolatedError when ``enforce`` is set; and whatever ``evaluate`` raised.
        Whichever way it ends, its process and all its descendants are gone and its place is free.
        """
        job = (getattr(evaluate, "evaluate", evaluate), arguments, self._gpu_uuid)
        while not self._places.acquire(blocking=False):  # noqa: ASYNC110  # an asyncio.Semaphore is one event loop's
            await asyncio.sleep(_POLL_SECONDS)
        try:
            cancelled = threading.Event()
            # A thread, because the timeout must come although the event loop is busy.
            supervision = asyncio.ensure_future(asyncio.to_thread(self._supervise, job, cancelled))
            try:
                answer = await asyncio.shield(supervision)
            except asyncio.CancelledError:
                cancelled.set()
                await asyncio.gather(supervision, return_exceptions=True)
                raise
        finally:
            self._places.release()
        return self._judge(answer, training_impact() if training_impact is not None else None)

    def _supervise(self, job: worker.Job, cancelled: threading.Event) -> worker.Answer:
        context = multiprocessing.get_context("spawn")
        answers, to_us = context.Pipe(duplex=False)
        alive, held = context.Pipe(duplex=False)
        process = context.Process(target=worker.main, args=(job, to_us, alive), name="evaluation")
        with answers, held:
            with to_us, alive:
                _start(process, job)
            end = time.monotonic() + self._timeout_seconds
            try:
                while not answers.poll(_POLL_SECONDS):
                    # Not by the pipe alone: a grandchild may hold it open.
                    if not process.is_alive() and not answers.poll():
                        raise EOFError  # noqa: TRY301  # as when the pipe ends
                    if cancelled.is_set():
                        return worker.Answer()
                    if time.monotonic() >= end:
                        raise EvaluationError(
                            Reason.DEADLINE_EXCEEDED,
                            f"The evaluation did not end within timeout_seconds ({self._timeout_seconds:g} s), and its "
                            "processes were killed. Ask for fewer samples or raise timeout_seconds.",
                        )
                answer: worker.Answer = answers.recv()
            except EOFError as error:
                process.join()
                raise EvaluationError(Reason.EVALUATOR_ERROR, _how_it_ended(process)) from error
            finally:
                _end(process)
        if answer.error is not None:
            raise answer.error
        return answer

    def _judge(self, answer: worker.Answer, impact: float | None) -> SafeguardedEvaluation:
        resources = answer.resources
        if resources is None:
            raise RuntimeError("an answer without an error has readings")
        utilisation = resources.gpu_utilization_percent
        readings = self.sla.readings(
            {
                SlaMetric.LATENCY_SECONDS: answer.latency_seconds,
                SlaMetric.MEMORY_OVERHEAD_BYTES: resources.memory_overhead_bytes,
                SlaMetric.TRAINING_IMPACT_PERCENT: NO_IMPACT if impact is None else impact,
                SlaMetric.GPU_UTILIZATION_PERCENT: resources.gpu_reason if utilisation is None else utilisation,
            }
        )
        evaluation = SafeguardedEvaluation(answer.value, Sla.of(readings), resources)
        self.violations.update(evaluation.sla.violations)
        breaches = [describe(reading) for reading in readings if reading.violated]
        for breach in breaches:
            logger.warning("SLA: %s", breach)
        if breaches and self._enforce:
            raise SlaViolatedError(evaluation, f"The evaluation broke its service level: {'; '.join(breaches)}.")
        return evaluation


def _start(process: BaseProcess, job: worker.Job) -> None:
    try:
        process.start()
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"{job[0]!r} or its arguments can't go to a process of their own: {error}. Name a function at the top of a module, "
            "and arguments that can be pickled."
        ) from error


def _end(process: BaseProcess) -> None:
    """Its session too: what it left when it was killed by somebody else is no longer its descendant."""
    if process.pid is not None:
        kill_tree(process.pid)
        signal_group(process.pid, signal.SIGKILL)
    process.join()


def _how_it_ended(process: BaseProcess) -> str:
    code = process.exitcode
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return f"The evaluation's process ended with {how} and without a result; its own output says more."
