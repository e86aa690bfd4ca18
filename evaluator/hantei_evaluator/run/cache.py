"""Finds the samples of earlier evaluations of the same identity, whichever run they were made in."""

import logging
from pathlib import Path

from hantei_api.base import Output
from hantei_api.task import EvaluationTask
from hantei_evaluator.run.resume import Identity, SampleFiles, read_identity
from hantei_evaluator.run.whole_file import write_whole

CACHE_DIRECTORY = ".hantei-cache"
"""Below the output's root; no namespace is called so."""
logger = logging.getLogger(__name__)


class Entry(Output):
    """Where the samples of an identity lie, and how many."""

    samples: str
    """The samples file, relative to the directory that the cache lies in where it is below that."""
    count: int


class Cache:
    """``DIRECTORY/DIGEST.json``: pointers to samples files, whose own identity says whether they still hold.

    A pointer that leads nowhere, or to other samples, is as good as none. Nothing here ever costs the evaluation.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._root = directory.parent

    def find(self, identity: Identity) -> SampleFiles | None:
        """The files that hold the most samples of that identity."""
        entry = self._read(identity)
        if entry is None:
            return None
        files = SampleFiles(self._root / entry.samples)
        return files if read_identity(files) == identity else None

    def register(self, identity: Identity, files: SampleFiles, count: int) -> None:
        """Make those the files that are found, unless others hold as many samples."""
        known = self.find(identity)
        entry = self._read(identity)
        if known is not None and known.samples != files.samples and entry is not None and entry.count >= count:
            return
        place = files.samples
        if place.is_relative_to(self._root):
            place = place.relative_to(self._root)
        path = self._path(identity)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, Entry(samples=str(place), count=count).model_dump_json().encode())
        except OSError as error:
            logger.warning("The cache can't be written, later runs compute these samples again: %s", error)

    def _read(self, identity: Identity) -> Entry | None:
        try:
            return Entry.model_validate_json(self._path(identity).read_bytes())
        except (OSError, ValueError):
            return None

    def _path(self, identity: Identity) -> Path:
        return self._directory / f"{identity.digest}.json"


def cache_of(task: EvaluationTask) -> Cache | None:
    """The task's cache, if it has one."""
    if task.cache_directory is not None:
        return Cache(Path(task.cache_directory))
    if task.output_root is None or task.output_directory is None:
        return None
    root = Path(task.output_root)
    # On a laptop the root is where a registry of ratings lies, which may be anywhere.
    return Cache(root / CACHE_DIRECTORY) if Path(task.output_directory).is_relative_to(root) else None
