"""The baseline's checkpoint, evaluated after the run's own: the same suite, samples and seed, in what is left of the time."""

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from hantei_api.task import EvaluationTask
from hantei_evaluator.run.baseline import BaselineCheckpoint, Reference
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.prepare import load_suite, prepare
from hantei_evaluator.run.progress import ProgressTracker
from hantei_evaluator.run.resume import BASELINE_PREFIX
from hantei_evaluator.run.samples import SampleWriter
from hantei_evaluator.run.session import Session
from hantei_evaluator.run.store import SampleStore
from hantei_evaluator.run.values import SampleValues
from hantei_evaluator.suites.protocol import Context

logger = logging.getLogger(__name__)


@dataclass
class _SignsOfLife:
    """Takes the baseline's progress: the stall clock hears of it, while the run's own numbers stay."""

    tracker: ProgressTracker
    done: int = 0
    total: int | None = None

    def update(self, done: int, total: int | None) -> None:
        """Note progress in samples."""
        self.done, self.total = done, total
        self.tracker.alive()


def evaluate_baseline(
    session: Session, context: Context, baseline: BaselineCheckpoint, pace: AbstractContextManager[object]
) -> Reference:
    """What the baseline's checkpoint does with the samples of ``context``; partly when the time runs out.

    Its samples are kept beside the run's own, resume like those, and are found by other runs. Raises what the suite
    raises, with the baseline named.
    """
    name = f"checkpoint {baseline.sha256[:12]}"
    reference = Reference(name, {}, SampleValues(), identifier=baseline.sha256)
    signs = _SignsOfLife(session.progress)
    writer = SampleWriter(signs, reference.values)
    store = SampleStore(session.task, writer, prefix=BASELINE_PREFIX)
    if session.deadline.requested():
        return replace(reference, unfinished=f"no time was left for the baseline ({name}).")
    logger.info("Evaluating the baseline %s with the same samples", baseline.path)
    work = session.scratch / "baseline-work"
    work.mkdir()
    suite = load_suite(session.task.suite.name)
    second = replace(
        context, task=_baseline_task(session.task), checkpoint=baseline.path, scratch=work, recorder=writer, pace=pace
    )
    session.stall_applies = False  # a suite that loads gives no sign of life
    try:
        prepared = prepare(suite, second, store, baseline.sha256)
        session.progress.alive()
        session.stall_applies = suite.reports_progress
        outcome = prepared.evaluate()
    except EvaluationError as error:
        raise EvaluationError(error.reason, f"baseline.checkpoint: {error}") from error
    finally:
        writer.close()
    unfinished = ""
    if not outcome.complete:
        total = signs.total if signs.total is not None else "its"
        unfinished = (
            f"the baseline ({name}) was cut short at {len(reference.values)} of {total} samples. {session.deadline.describe()} "
            "The next evaluation takes over what is there."
        )
    metrics = {each.name: each for each in outcome.metrics}
    return replace(reference, metrics=metrics, identity=prepared.identity, unfinished=unfinished)


def _baseline_task(task: EvaluationTask) -> EvaluationTask:
    """The same questions without what a suite does beside answering them: only the run's own checkpoint is rated."""
    suite = task.suite
    if suite.shogi is not None:
        suite = suite.model_copy(update={"shogi": suite.shogi.model_copy(update={"elo_registry": None})})
    update = {
        "suite": suite,
        "training_step": None,
        "baseline": None,
        "gate": None,
        "output_directory": None,
        "output_root": None,
        "cache_directory": None,
    }
    return task.model_copy(update=update)
