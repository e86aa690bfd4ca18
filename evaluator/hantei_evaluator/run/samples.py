"""samples.jsonl: one line a sample, as they come."""

import json
import logging
import os
import threading
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

from hantei_evaluator.run.values import SampleValues

SAMPLES_FILE = "samples.jsonl"

SYNC_SECONDS = 1.0
"""A line is with the kernel as soon as it was recorded, so that a killed process loses none; a node that dies loses at
most what was recorded in the last so many seconds."""

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
logger = logging.getLogger(__name__)


class Progress(Protocol):
    """Where progress goes."""

    def update(self, done: int, total: int | None) -> None:
        """Note progress in samples."""


class SampleWriter:
    """Implements ``suites.protocol.Recorder``. A full or read-only output costs the samples, never the evaluation.

    No ``sampleId`` is written twice.
    """

    def __init__(self, progress: Progress, values: SampleValues | None = None) -> None:
        self.values = values
        """What the samples say, where something will be compared."""
        self._progress = progress
        self._lock = threading.Lock()
        self._file: IO[str] | None = None
        self._recorded: set[str] = set()
        self._unsynced = False
        self._closed = threading.Event()
        self.error = ""

    def open(self, path: Path, taken_over: Collection[str] | None = None) -> None:
        """Write samples into the file from now on: behind those with the ids ``taken_over``, else into an empty file.

        On a dead network volume this may hang, outside the lock.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("w" if taken_over is None else "a", encoding="utf-8")
            descriptor = os.dup(file.fileno())
        except OSError as error:
            self.give_up(error)
            return
        with self._lock:
            self._recorded.update(taken_over or ())
            self._file = file
        threading.Thread(target=self._sync, args=(descriptor,), name="samples", daemon=True).start()

    @property
    def count(self) -> int:
        """Samples that were recorded or taken over."""
        return len(self._recorded)

    def sample(self, record: Mapping[str, Any]) -> None:
        """Append one sample as a line."""
        self.samples((record,))

    def samples(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Append samples, each as a line, in one write."""
        with self._lock:
            new = [record for record in records if self._is_new(record)]
            if self._file is not None and new:
                try:
                    self._file.write("".join([_encode(record) + "\n" for record in new]))
                    self._file.flush()
                    self._unsynced = True
                except OSError as error:
                    self._give_up(error)
            if self.values is not None:
                for record in new:
                    self.values.add(record)

    def progress(self, done: int, total: int | None) -> None:
        """Note progress in samples."""
        self._progress.update(done, total)

    def close(self) -> None:
        """Bring the samples to the disk; later samples are dropped."""
        self._closed.set()
        with self._lock:
            if self._file is not None:
                try:
                    os.fsync(self._file.fileno())
                    self._file.close()
                except OSError as error:
                    self._give_up(error)
                self._file = None

    def give_up(self, error: OSError) -> None:
        """Do without the samples file, and say why."""
        with self._lock:
            self._give_up(error)

    def _is_new(self, record: Mapping[str, Any]) -> bool:
        sample_id = record.get("sampleId")
        if not isinstance(sample_id, str):
            raise TypeError(f"a sample needs sampleId, a stable text that no other sample has; got {sample_id!r}")
        if sample_id in self._recorded:
            return False
        self._recorded.add(sample_id)
        return True

    def _sync(self, descriptor: int) -> None:
        """Beside the loop: on a slow volume one fsync takes longer than a batch."""
        try:
            while not self._closed.wait(SYNC_SECONDS):
                if self._unsynced:
                    self._unsynced = False
                    os.fsync(descriptor)
        except OSError as error:
            self.give_up(error)
        finally:
            os.close(descriptor)

    def _give_up(self, error: OSError) -> None:
        self.error = f"{SAMPLES_FILE}: {error.strerror} ({error.filename or 'while writing'})"
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        self._file = None
        self._closed.set()
        logger.warning("Samples can't be written: %s", self.error)
