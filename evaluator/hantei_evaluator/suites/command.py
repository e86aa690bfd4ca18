"""Runs a program of the user's, which writes its metrics as JSON to the file named by HANTEI_RESULT."""

import json
import logging
import math
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, ClassVar, NoReturn, TextIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hantei_api.metrics import Metric
from hantei_api.reasons import Reason
from hantei_evaluator.run.children import kill_descendants, signal_group
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.logtail import OUTPUT_LOGGER
from hantei_evaluator.run.task import describe
from hantei_evaluator.suites.command_samples import SamplesFile
from hantei_evaluator.suites.protocol import Context, Outcome

TERMINATE_SECONDS = 2.0
"""Between SIGTERM and SIGKILL to the program's process group."""
MAX_RESULT_BYTES = 1_000_000
MAX_METRICS = 1000
_POLL_SECONDS = 0.1
_LAST_READ_SECONDS = 0.3
"""For samples that a stopped program left unread: with TERMINATE_SECONDS less than the watchdog's patience."""
_PIPE_SECONDS = 1.0
"""For the last output of a program that has ended; a process that holds its pipe open is not waited for."""


class CommandResult(BaseModel):
    """What the program writes; other keys are its own business."""

    model_config = ConfigDict(extra="ignore")

    metrics: list[Metric] = Field(min_length=1, max_length=MAX_METRICS)


class CommandSuite:
    """The suite ``command``."""

    reports_progress: ClassVar[bool] = False

    def load(self, context: Context) -> None:
        """Nothing to read: the program does."""

    def evaluate(self, context: Context) -> Outcome:
        """Run the program to its end, or to the deadline.

        Without a result file the metrics are the means of its samples. Raises InvalidTask when it can't be started,
        EvaluatorError when it fails and MetricsUnavailable when it leaves no usable result.
        """
        result_file = context.scratch / "result.json"
        samples = SamplesFile(context.scratch / "samples.jsonl", context.recorder)
        argv = _argv(context)
        process = _start(argv, _environment(context, result_file, samples.path))
        pumps = [
            _pump(stream, sink)
            for stream, sink in ((process.stdout, sys.stdout), (process.stderr, sys.stderr))
            if stream
        ]
        stopped = False
        try:
            stopped = not _wait(process, context, samples)
        finally:
            _end(process)
            for pump in pumps:
                pump.join(_PIPE_SECONDS)
            samples.close(torn=stopped or process.returncode != 0, seconds=_LAST_READ_SECONDS if stopped else math.inf)
        if stopped:
            try:
                metrics = read_result(result_file)
            except EvaluationError:
                metrics = samples.metrics()
            return _outcome(context, metrics, samples, complete=False)
        if process.returncode != 0:
            raise EvaluationError(Reason.EVALUATOR_ERROR, f"{argv[0]} {_how_it_ended(process.returncode)}.")
        metrics = read_result(result_file) if result_file.exists() or not samples.count else samples.metrics()
        return _outcome(context, metrics, samples, complete=True)


def read_result(path: Path) -> list[Metric]:
    """The metrics that the program wrote; raises MetricsUnavailable with what is wrong."""
    try:
        # No FIFO, device or link out of the scratch directory is followed.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        _unavailable("the program ended without writing the file named by HANTEI_RESULT")
    except OSError as error:
        _unavailable(f"the file named by HANTEI_RESULT can't be read: {error.strerror}")
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            _unavailable("HANTEI_RESULT is no regular file")
        if facts.st_size > MAX_RESULT_BYTES:
            _unavailable(
                f"the result has {facts.st_size} bytes, {MAX_RESULT_BYTES} is the most: append samples to HANTEI_SAMPLES"
            )
        text = file.read(MAX_RESULT_BYTES)
    try:
        # Before pydantic, which takes NaN for a number of no use but would name no field of a document with it.
        result = CommandResult.model_validate(json.loads(text))
    except ValidationError as error:
        _unavailable(f"the result is not usable: {describe(error)}")
    except (ValueError, RecursionError) as error:
        _unavailable(f"the result is no JSON: {error}")
    return result.metrics


def _argv(context: Context) -> Sequence[str]:
    command = context.task.suite.command
    if command is None:
        raise EvaluationError(Reason.INVALID_TASK, "suite.command is not set.")
    return command.argv


def _environment(context: Context, result_file: Path, samples_file: Path) -> dict[str, str]:
    environment = {
        **os.environ,
        "HANTEI_RESULT": str(result_file),
        "HANTEI_SAMPLES": str(samples_file),
        "HANTEI_CHECKPOINT": str(context.checkpoint),
        "HANTEI_INPUTS": str(context.inputs),
        "HANTEI_SCRATCH": str(context.scratch),
        "HANTEI_SEED": str(context.task.seed),
    }
    if context.task.output_directory is not None:
        environment["HANTEI_OUTPUT"] = context.task.output_directory
    remaining = context.stop.remaining_seconds()
    if math.isfinite(remaining):
        environment["HANTEI_DEADLINE_SECONDS"] = f"{remaining:.1f}"
    return environment


def _start(argv: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603  # running the user's program is what the suite is for; never a shell
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"suite.command.argv[0]: {argv[0]} can't be started: {what}. Name a program that is in the image and executable "
            "(and whose interpreter is); there is no shell.",
        ) from error


def _pump(source: IO[bytes], sink: TextIO) -> threading.Thread:
    """Pass the program's output on line by line, into our own log tail too; it never waits for us."""
    output = logging.getLogger(OUTPUT_LOGGER)

    def run() -> None:
        with source:
            while chunk := os.read(source.fileno(), 65536):
                text = chunk.decode(errors="replace")
                output.info("%s", text)
                with suppress(OSError, ValueError):
                    sink.buffer.write(chunk)
                    sink.buffer.flush()

    thread = threading.Thread(target=run, name="output", daemon=True)
    thread.start()
    return thread


def _wait(process: subprocess.Popen[bytes], context: Context, samples: SamplesFile) -> bool:
    """Whether the program ended by itself; its samples are recorded as they come."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_POLL_SECONDS)
            return True
        if context.stop.requested():
            return False
        samples.read(context.stop.requested)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program's process group and whatever slipped out of it."""
    if process.poll() is None:
        signal_group(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=TERMINATE_SECONDS)
    signal_group(process.pid, signal.SIGKILL)
    process.wait()
    kill_descendants()


def _outcome(context: Context, metrics: list[Metric], samples: SamplesFile, *, complete: bool) -> Outcome:
    done = max([samples.count, *(metric.n for metric in metrics)])
    context.recorder.progress(done, done if complete else None)
    return Outcome(metrics=metrics, complete=complete, message=samples.problem)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    hint = ": it may have run out of memory (spec.resources.memory)" if -code == signal.SIGKILL else ""
    return f"was killed by {name}{hint}"


def _unavailable(problem: str) -> NoReturn:
    raise EvaluationError(Reason.METRICS_UNAVAILABLE, f"No metrics: {problem}.")
