"""The samples that a program appends to the file named by HANTEI_SAMPLES, read as they come."""

import json
import logging
import math
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from hantei_api.metrics import Metric, MetricName
from hantei_evaluator.run.task import describe
from hantei_evaluator.run.values import SampleValues
from hantei_evaluator.statistics.intervals import clustered_mean, proportion_standard_error
from hantei_evaluator.suites.protocol import Recorder

MAX_LINE_BYTES = 64_000
MAX_SAMPLES_BYTES = 1_000_000_000
_CHUNK_BYTES = 1_000_000
"""Some 10,000 lines, which take a fifth of a second."""
logger = logging.getLogger(__name__)

Value = Annotated[bool, Field(strict=True)] | Annotated[float, Field(strict=True, allow_inf_nan=False)]


class CommandSample(BaseModel):
    """One line; other keys are kept as they are."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    sample_id: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(alias="sampleId")
    pair: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    values: dict[MetricName, Value] = Field(default_factory=dict, max_length=64)


class SamplesFile:
    """The file, which the program may still be writing to. A line that is no sample costs itself alone."""

    def __init__(self, path: Path, recorder: Recorder) -> None:
        self.path = path
        self._recorder = recorder
        self._values = SampleValues()
        self._offset = 0
        self._rest = b""
        self._lines = self._bad = 0
        self._first_problem = ""
        self._closed = False

    def read(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Record what was appended since the last time, whole lines only; ``stop`` is asked before each chunk."""
        while not stop() and (chunk := self._next_chunk()):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            self._take(lines)
            if len(self._rest) > MAX_LINE_BYTES:
                self._give_up(f"line {self._lines + 1} is longer than {MAX_LINE_BYTES} bytes")

    def close(self, *, torn: bool, seconds: float = math.inf) -> None:
        """Read to the end, or for so long; ``torn`` when the program was stopped and may have left half a line."""
        end = time.monotonic() + seconds
        self.read(lambda: time.monotonic() >= end)
        if self._rest and not torn:
            self._take([self._rest])
        if self.problem:
            logger.warning("%s", self.problem)

    @property
    def count(self) -> int:
        """Samples that were recorded."""
        return len(self._values)

    @property
    def problem(self) -> str:
        """What was left out and why, in a sentence; empty when nothing was."""
        if not self._bad:
            return ""
        return f"HANTEI_SAMPLES: {self._bad} of {self._lines} lines are no samples and were left out: {self._first_problem}."

    def metrics(self) -> list[Metric]:
        """The mean of each of the samples' values, for a program that writes no metrics of its own."""
        return [self._mean(name) for name in self._values.metrics]

    def _mean(self, name: str) -> Metric:
        of_samples = self._values.of(name)
        values = np.array(list(of_samples.values()), dtype=np.float64)
        pairs = self._values.pairs
        n = len(values)
        if not pairs and np.isin(values, (0.0, 1.0)).all():
            successes = int(values.sum())
            return Metric(name=name, value=successes / n, stderr=proportion_standard_error(successes, n), n=n)
        mean, stderr, _ = clustered_mean(values, np.array([pairs.get(each, each) for each in of_samples]))
        return Metric(name=name, value=mean, stderr=stderr, n=n)

    def _next_chunk(self) -> bytes:
        if self._closed:
            return b""
        try:
            # No FIFO, device or link out of the scratch directory is followed.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        except FileNotFoundError:
            return b""
        except OSError as error:
            return self._give_up(f"the file can't be read: {error.strerror}")
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return self._give_up("it is no regular file")
            if self._offset >= MAX_SAMPLES_BYTES:
                return self._give_up(f"it is larger than {MAX_SAMPLES_BYTES} bytes, the rest")
            file.seek(self._offset)
            chunk = file.read(_CHUNK_BYTES)
        self._offset += len(chunk)
        return chunk

    def _give_up(self, problem: str) -> bytes:
        self._closed = True
        self._rest = b""
        self._lines += 1
        self._note(problem)
        return b""

    def _take(self, lines: list[bytes]) -> None:
        before = self.count
        self._recorder.samples(list(self._samples(lines)))
        if self.count > before:
            self._recorder.progress(self.count, None)

    def _samples(self, lines: list[bytes]) -> Iterator[dict[str, Any]]:
        for line in lines:
            self._lines += 1
            if not line.strip():
                continue
            if len(line) > MAX_LINE_BYTES:
                self._note(f"line {self._lines} is longer than {MAX_LINE_BYTES} bytes")
                continue
            try:
                record = json.loads(line, parse_constant=_refuse)
                sample = CommandSample.model_validate(record)
            except ValidationError as error:
                self._note(f"line {self._lines}: {describe(error)}")
                continue
            except (ValueError, RecursionError) as error:
                self._note(f"line {self._lines} is no JSON: {error}")
                continue
            record["values"] = {name: float(value) for name, value in sample.values.items()}
            known = self.count
            self._values.add(record)
            if self.count == known:
                self._note(f"line {self._lines}: sampleId {sample.sample_id} was there before")
                continue
            yield record

    def _note(self, problem: str) -> None:
        self._bad += 1
        self._first_problem = self._first_problem or problem[:500]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
