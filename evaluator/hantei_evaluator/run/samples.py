"""samples.jsonl: one line a sample, as they come."""

import json
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from hantei_evaluator.run.progress import ProgressTracker

SAMPLES_FILE = "samples.jsonl"
logger = logging.getLogger(__name__)


class SampleWriter:
    """Implements ``suites.protocol.Recorder``. A full or read-only output costs the samples, never the evaluation."""

    def __init__(self, progress: ProgressTracker) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._file: IO[str] | None = None
        self.error = ""

    def open(self, directory: Path) -> None:
        """Write samples into the directory from now on. On a dead network volume this may hang, outside the lock."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = (directory / SAMPLES_FILE).open("w", encoding="utf-8")
        except OSError as error:
            self._give_up(error)

    def sample(self, record: Mapping[str, Any]) -> None:
        """Append one sample as a line."""
        with self._lock:
            if self._file is not None:
                try:
                    self._file.write(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")
                    self._file.flush()
                except OSError as error:
                    self._give_up(error)

    def progress(self, done: int, total: int | None) -> None:
        """Note progress in samples."""
        self._progress.update(done, total)

    def close(self) -> None:
        """Bring the samples to the disk; later samples are dropped."""
        with self._lock:
            if self._file is not None:
                try:
                    os.fsync(self._file.fileno())
                    self._file.close()
                except OSError as error:
                    self._give_up(error)
                self._file = None

    def _give_up(self, error: OSError) -> None:
        self.error = f"{SAMPLES_FILE}: {error.strerror} ({error.filename or 'while writing'})"
        self._file = None
        logger.warning("Samples can't be written: %s", self.error)
