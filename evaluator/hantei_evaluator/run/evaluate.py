"""The loop round a suite, from the task to the exit code."""

import errno
import logging
import traceback
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from hantei_api.metrics import Metric
from hantei_api.names import EVALUATOR_PORT
from hantei_api.reasons import Reason
from hantei_api.result import EvaluationResult
from hantei_api.spec import Politeness
from hantei_api.task import EvaluationTask
from hantei_evaluator.performance import ResourceMonitor
from hantei_evaluator.run.allotment import cores
from hantei_evaluator.run.baseline import BaselineCheckpoint, Reference, check, check_comparable, open_baseline
from hantei_evaluator.run.children import adopt_orphans, kill_descendants
from hantei_evaluator.run.deadline import Deadline
from hantei_evaluator.run.device import Device, choose
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.finish import Finisher
from hantei_evaluator.run.inputs import gather
from hantei_evaluator.run.logtail import LogTail, set_up_logging
from hantei_evaluator.run.pace import Pace, pace_of
from hantei_evaluator.run.prepare import load_suite, prepare
from hantei_evaluator.run.publish import write_termination_message
from hantei_evaluator.run.samples import SampleWriter
from hantei_evaluator.run.second import evaluate_baseline
from hantei_evaluator.run.server import serve
from hantei_evaluator.run.session import Ending, Session
from hantei_evaluator.run.store import SampleStore
from hantei_evaluator.run.task import describe, pod_age_seconds, read_task
from hantei_evaluator.run.values import SampleValues
from hantei_evaluator.run.verdict import interrupted, judged
from hantei_evaluator.run.watchdog import SignalPipe, Watchdog
from hantei_evaluator.suites.protocol import Context, Outcome

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)


def evaluate_task_file(path: Path, *, port: int | None = EVALUATOR_PORT, exit_on_gate: bool = False) -> int:
    """Evaluate the task that the operator handed over, and return the exit code."""
    signals, log_tail = SignalPipe(), LogTail()
    set_up_logging(log_tail)
    try:
        task = read_task(path)
        session = _session(task, Deadline(task.limits, pod_age_seconds(path)), log_tail)
    except EvaluationError as error:
        logger.error("%s", error)  # noqa: TRY400  # the message says it all
        write_termination_message(_refused(error))
        return error.exit_code
    session.exit_on_gate = exit_on_gate
    return _run(session, signals, port)


def evaluate(task: EvaluationTask, *, port: int | None = None, exit_on_gate: bool = False) -> int:
    """Evaluate a task on this machine, and return the exit code."""
    signals, log_tail = SignalPipe(), LogTail()
    set_up_logging(log_tail)
    try:
        session = _session(task, Deadline(task.limits), log_tail)
    except EvaluationError as error:
        logger.error("%s", error)  # noqa: TRY400  # the message says it all
        return error.exit_code
    session.exit_on_gate = exit_on_gate
    return _run(session, signals, port)


def _session(task: EvaluationTask, deadline: Deadline, log_tail: LogTail) -> Session:
    """Raises StorageFull when there is no room for its scratch directory."""
    try:
        return Session(task, deadline, log_tail)
    except OSError as error:
        raise EvaluationError(
            Reason.STORAGE_FULL, f"No scratch directory can be made: {error}. Set TMPDIR to one with room."
        ) from error


def _run(session: Session, signals: SignalPipe, port: int | None) -> int:
    task = session.task
    compares = task.baseline is not None or task.gate is not None
    samples = SampleWriter(session.progress, SampleValues() if compares else None)
    finisher = Finisher(session, samples)
    Watchdog(session, finisher, signals).start()
    adopt_orphans()
    with ExitStack() as stack:
        try:
            if port is not None:
                stack.enter_context(serve(session, port))
            ending = _evaluate(session, samples, finisher)
        except BaseException as error:  # noqa: BLE001  # every end has a reason and a message
            ending = failure(error)
            if session.deadline.stopped:
                # A suite may fail in any way once its processes are killed for the memory they take.
                ending = Ending(session.deadline.reason(), session.deadline.describe())
            ending = interrupted(ending, session.evaluated, task)
        session.claim_end()
        kill_descendants()
        return finisher.finish(session.enforce_sla(ending))


def _evaluate(session: Session, samples: SampleWriter, finisher: Finisher) -> Ending:
    task = session.task
    check(task)
    store = SampleStore(task, samples)
    session.output_held = store.held()
    if not session.output_held:
        finisher.write_interim()
    checkpoint, session.checkpoint_sha256, inputs = gather(task, session.scratch)
    baseline = open_baseline(task, session.scratch)
    in_child = task.suite.command is not None
    session.device = choose(task.limits, in_child=in_child)
    suite = load_suite(task.suite.name)
    session.resources = ResourceMonitor(session.device.uuid, cpus=cores())
    session.resources.start()
    if in_child and task.politeness != Politeness():
        logger.warning("politeness has no effect on the command suite: its program computes by itself")
    if not in_child:
        session.pace = _pace(session, session.resources, session.device)
    work = session.scratch / "work"
    work.mkdir()
    context = Context(
        task=task,
        checkpoint=checkpoint,
        inputs=inputs,
        scratch=work,
        device=cast("torch.device", None) if in_child else _torch_device(session.device.kind),
        stop=session.deadline,
        recorder=samples,
        cpus=cores(),
        pace=session.pace or nullcontext(),
    )
    logger.info("Evaluating %s with the %s suite on %s", checkpoint, task.suite.name, session.device.name)
    prepared = prepare(suite, context, store, session.checkpoint_sha256)
    session.stored = store.stored
    if isinstance(baseline, Reference):
        check_comparable(prepared.identity, baseline)
    if session.output_held:
        session.output_held = False
        finisher.write_interim()
    session.stall_applies = suite.reports_progress
    session.start_evaluating()
    outcome = prepared.evaluate()
    if session.pace is not None:
        session.pace.finish()
    ending = judge(outcome, session.deadline)
    if ending.reason is not Reason.COMPLETED or samples.values is None:
        return ending
    session.finish_evaluating(ending)
    del suite, prepared  # two networks need not share the device's memory
    if isinstance(baseline, BaselineCheckpoint):
        pace = _pace(session, session.resources, session.device)
        baseline = evaluate_baseline(session, context, baseline, pace)
    return judged(ending, task, samples.values, baseline)


def _pace(session: Session, resources: ResourceMonitor, device: Device) -> Pace:
    return pace_of(session.task, session.deadline, resources, session.progress, cuda=device.kind == "cuda")


def judge(outcome: Outcome, deadline: Deadline) -> Ending:
    """What an outcome means: success must carry evidence, and partial results say so."""
    problem = _without_evidence(outcome.metrics)
    partial = not outcome.complete or deadline.signalled
    if partial and not deadline.requested():
        return Ending(Reason.EVALUATOR_ERROR, "The suite stopped before all samples were done, and nothing told it to.")
    if partial:
        metrics = [] if problem else outcome.metrics
        return _ending(outcome, deadline.reason(), f"{deadline.describe()} {outcome.message}".rstrip(), metrics)
    if problem:
        return replace(_ending(outcome, Reason.METRICS_UNAVAILABLE, problem, []), complete=False)
    return _ending(outcome, Reason.COMPLETED, outcome.message, outcome.metrics)


def _ending(outcome: Outcome, reason: Reason, message: str, metrics: list[Metric]) -> Ending:
    return Ending(reason, message, metrics, outcome.complete, outcome.versions, outcome.precision)


def failure(error: BaseException) -> Ending:
    """What an exception means; anything unforeseen is logged with its traceback."""
    if isinstance(error, EvaluationError):
        return Ending(error.reason, str(error))
    logger.error("%s", "".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        where = f" ({error.filename})" if error.filename else ""
        return Ending(
            Reason.STORAGE_FULL, f"No space is left on the device{where}: raise spec.resources.ephemeralStorage."
        )
    if isinstance(error, ValidationError) and error.title == Metric.__name__:
        return Ending(Reason.METRICS_UNAVAILABLE, f"The suite measured no usable metric: {describe(error)}.")
    return Ending(Reason.EVALUATOR_ERROR, f"{type(error).__name__}: {error}"[:1024])


def _without_evidence(metrics: list[Metric]) -> str:
    if not metrics:
        return "The evaluation ended without any metric."
    names = [metric.name for metric in metrics]
    twice = sorted({name for name in names if names.count(name) > 1})
    return f"Metrics are named twice: {', '.join(twice[:5])}." if twice else ""


def _torch_device(kind: str) -> "torch.device":
    import torch  # noqa: PLC0415  # seconds to import

    return torch.device(kind)


def _refused(error: EvaluationError) -> EvaluationResult:
    now = datetime.now(UTC)
    return EvaluationResult(
        namespace="",
        run="",
        attempt=1,
        suite="",
        reason=error.reason,
        message=str(error)[:2048],
        complete=False,
        started_at=now,
        finished_at=now,
    )
