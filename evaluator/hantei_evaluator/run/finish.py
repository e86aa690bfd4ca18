"""Publishes how the evaluation ended: files, W&B, and last the termination message."""

import logging
import threading
import time

from hantei_api.reasons import Reason, Verdict
from hantei_api.result import EvaluationResult, WandbOutcome
from hantei_evaluator.export.wandb import log_to_wandb
from hantei_evaluator.run.publish import write_result, write_termination_message
from hantei_evaluator.run.samples import SampleWriter
from hantei_evaluator.run.session import Ending, Phase, Session
from hantei_evaluator.run.troubles import scrub, without_credentials
from hantei_evaluator.run.upload import upload

UPLOAD_MARGIN_SECONDS = 0.3
"""An upload ends this long before publishing is given up, so that it can say what it waited for."""
LOGGED_METRICS = 12
"""The most important ones; result.json has all."""
logger = logging.getLogger(__name__)


class Finisher:
    """Publishes once, and can be cut short by the watchdog."""

    def __init__(self, session: Session, samples: SampleWriter) -> None:
        self._session = session
        self._samples = samples
        self._latest: EvaluationResult | None = None
        self._uploading = False
        self._message_claim = threading.Lock()
        self._interim = threading.Lock()

    def finish(self, ending: Ending) -> int:
        """Publish the ending and return the exit code. The session's end must have been claimed."""
        try:
            result = self._publish(ending)
        except Exception as error:
            logger.exception("Publishing failed")
            unknown = Ending(Reason.EVALUATOR_ERROR, f"Publishing failed: {type(error).__name__}: {error}")
            return self.give_up(unknown, f"failed: {scrub(f'{type(error).__name__}: {error}')}")
        return self._hand_over(result)

    def _publish(self, ending: Ending) -> EvaluationResult:
        session = self._session
        result = self._latest = session.result(ending)
        self._samples.close()
        with self._interim:
            result = self._latest = self._write(result)
        if session.task.wandb is not None:
            result = self._latest = result.model_copy(update={"wandb": self._wandb(result)})
            result = self._write(result)
        if (stopped := self._stopped(result)) is not result:
            result = self._write(stopped)
        if session.task.output_uri is not None and result.published is not None:
            result = self._upload(result, session.task.output_uri)
        return result

    def give_up(self, ending: Ending, problem: str = "") -> int:
        """Publishing took too long or met a ``problem``: hand over what is known, or else ``ending``, and return the exit code."""
        session = self._session
        result = self._stopped(self._latest or session.result(ending))
        late = problem or (
            f"did not end within {self._elapsed():.1f} s (publishSeconds {session.task.limits.publish_seconds:g})"
        )
        if session.output is not None and (result.published is None or self._uploading):
            place = without_credentials(session.task.output_uri or str(session.output))
            result = result.model_copy(
                update={"published": False, "publish_message": f"Writing to {place} {late}."[:512]}
            )
        if session.task.wandb is not None and result.wandb is None:
            outcome = WandbOutcome(synced=False, message=f"Publishing {late}."[:512])
            result = result.model_copy(update={"wandb": outcome})
        return self._hand_over(result)

    def _stopped(self, result: EvaluationResult) -> EvaluationResult:
        """The same result, unless a signal came meanwhile: exit 0 after SIGTERM would let a Job count an evicted pod as done."""
        deadline = self._session.deadline
        if not deadline.signalled or result.reason not in {Reason.COMPLETED, Reason.GATE_FAILED}:
            return result
        return result.model_copy(update={"reason": deadline.reason(), "message": deadline.describe()})

    def write_interim(self) -> None:
        """Mark the output as incomplete from the start: a process that is killed can't do so any more.

        A loop that the watchdog did not wait for may come here after the end, and leaves the final result alone.
        """
        ending = Ending(
            reason=Reason.POD_LOST, message="The evaluation was still running when this was written, or it was killed."
        )
        with self._interim:
            if self._session.phase is not Phase.PUBLISHING:
                self._write(self._session.result(ending))

    def _write(self, result: EvaluationResult) -> EvaluationResult:
        output = self._session.output
        if output is None:
            return result
        if self._session.output_held:
            held = f"{output} holds an earlier evaluation, and this one ended before it began: nothing was written."
            return result.model_copy(update={"published": False, "publish_message": held[:512]})
        timings = result.timings.model_copy(update={"publish_seconds": round(self._elapsed(), 3)})
        published = result.model_copy(
            update={"published": not self._samples.error, "publish_message": self._samples.error, "timings": timings}
        )
        try:
            write_result(output, published)
        except OSError as error:
            message = f"{error.strerror}: {error.filename or output}"[:512]
            logger.warning("The result can't be written: %s", message)
            return result.model_copy(update={"published": False, "publish_message": message, "timings": timings})
        return published

    def _upload(self, result: EvaluationResult, uri: str) -> EvaluationResult:
        """Upload the output's directory; again when a signal came meanwhile, as result.json would say Completed."""
        directory = self._session.output
        if directory is None:
            return result
        self._latest, self._uploading = result, True
        problem = upload(directory, uri, self._seconds_left)
        if not problem and (stopped := self._stopped(result)) is not result:
            result = self._latest = self._write(stopped)
            problem = upload(directory, uri, self._seconds_left)
        self._uploading = False
        if problem:
            logger.warning("The results can't be published: %s", problem)
            result = result.model_copy(update={"published": False, "publish_message": problem[:512]})
        return result

    def _seconds_left(self) -> float:
        """Until publishing is given up; a little less, to say what it hung on."""
        session = self._session
        return session.deadline.publish_end(session.publish_started) - time.monotonic() - UPLOAD_MARGIN_SECONDS

    def _wandb(self, result: EvaluationResult) -> WandbOutcome:
        session = self._session
        if session.deadline.signalled:
            return WandbOutcome(synced=False, message="The evaluator was stopped before it logged to W&B.")
        if result.reason is Reason.MEMORY_LIMIT_REACHED:
            # W&B's processes would take what is left.
            return WandbOutcome(synced=False, message="Not logged to W&B: too little memory was left.")
        return log_to_wandb(
            session.task,
            result,
            directory=session.output or session.scratch,
            scratch=session.scratch,
            deadline=lambda: session.deadline.publish_end(session.publish_started) - time.monotonic(),
        )

    def _elapsed(self) -> float:
        return time.monotonic() - self._session.publish_started if self._session.publish_started else 0.0

    def _hand_over(self, result: EvaluationResult) -> int:
        if not self._message_claim.acquire(blocking=False):
            threading.Event().wait()
        write_termination_message(result)
        self._session.remove_scratch()
        for metric in result.metrics[:LOGGED_METRICS]:
            error = "" if metric.stderr is None else f" ± {metric.stderr:.2g}"
            logger.info("%s %.5g%s (n = %d)", metric.name, metric.value, error, metric.n)
        if result.published:
            logger.info("Results and samples: %s", self._session.task.output_uri or self._session.output)
        log = logger.info if result.reason is Reason.COMPLETED else logger.error
        log("%s: %s", result.reason.value, result.message or "the evaluation is done")
        failed_gate = result.reason is Reason.GATE_FAILED or result.verdict is Verdict.REGRESSED
        return 1 if self._session.exit_on_gate and result.exit_code == 0 and failed_gate else result.exit_code
