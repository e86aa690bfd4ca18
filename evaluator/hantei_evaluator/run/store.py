"""The samples of one checkpoint: those that earlier evaluations left, and those that come."""

import logging
from pathlib import Path

from hantei_api.task import EvaluationTask
from hantei_evaluator.run.cache import cache_of
from hantei_evaluator.run.resume import (
    Identity,
    SampleFiles,
    StoredSamples,
    earlier_attempts,
    gather,
    move_aside,
    read_identity,
    read_lines,
    take_over,
)
from hantei_evaluator.run.samples import SampleWriter
from hantei_evaluator.run.whole_file import write_whole

logger = logging.getLogger(__name__)


class SampleStore:
    """Opens the samples file of a checkpoint with what is there already, and leaves it whole.

    ``prefix`` goes before the names of the files. A full or read-only output costs the samples, never the evaluation.
    """

    def __init__(self, task: EvaluationTask, recorder: SampleWriter, *, prefix: str = "") -> None:
        self.recorder = recorder
        self.stored = StoredSamples({})
        """Samples of earlier evaluations of the same identity."""
        self._attempt = task.run.attempt
        self._prefix = prefix
        self._directory = Path(task.output_directory) if task.output_directory is not None else None
        self._cache = cache_of(task)
        self._identity: Identity | None = None

    @property
    def reused(self) -> int:
        """Samples that were taken over and count."""
        return len(self.stored.used)

    def held(self) -> bool:
        """Whether the directory holds samples with an identity already, of whatever evaluation."""
        return self._directory is not None and SampleFiles.of(self._directory, self._prefix).identity.exists()

    def open(self, identity: Identity | None) -> None:
        """Take over what is there of that identity, and write into the directory from now on.

        Another evaluation's files are moved aside. Without an identity nothing can be taken over.
        """
        if self._directory is None:
            return
        files = SampleFiles.of(self._directory, self._prefix)
        try:
            if not self._prefix and self.held() and read_identity(files) != identity:
                aside = move_aside(self._directory)
                logger.warning("%s held another evaluation, it is in %s now: starting anew", self._directory, aside)
            if identity is None:
                self.recorder.open(files.samples)
                return
            sources = [files, *(SampleFiles.of(each, self._prefix) for each in self._earlier_attempts())]
            if self._cache is not None and (cached := self._cache.find(identity)) is not None:
                sources.append(cached)
            self.stored = StoredSamples(gather(identity, sources), self.recorder.values)
            take_over(files, identity, self.stored.lines)
        except OSError as error:
            self.recorder.give_up(error)
            return
        self._identity = identity
        self.recorder.open(files.samples, self.stored.lines)
        if self.stored:
            logger.info("%d samples of the same identity are there already", len(self.stored))
        self._register(files, len(self.stored))

    def complete(self) -> None:
        """All samples are there: leave out those that were taken over and did not count, and let others find the rest."""
        self.recorder.close()
        if self._directory is None or self._identity is None or self.recorder.error:
            return
        files = SampleFiles.of(self._directory, self._prefix)
        unused = self.stored.lines.keys() - self.stored.used
        if unused:
            try:
                lines = read_lines(files.samples)
                write_whole(files.samples, b"".join(line for name, line in lines.items() if name not in unused))
            except OSError as error:
                self.recorder.give_up(error)
                return
        self._register(files, self.recorder.count - len(unused))

    def _earlier_attempts(self) -> list[Path]:
        return earlier_attempts(self._directory, self._attempt) if self._directory is not None else []

    def _register(self, files: SampleFiles, count: int) -> None:
        if self._cache is not None and self._identity is not None:
            self._cache.register(self._identity, files, count)
