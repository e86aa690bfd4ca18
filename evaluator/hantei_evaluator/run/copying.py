"""Copies one file out of a source: continued after a cut, started anew when it changed, whole or not there at all."""

import errno
import hashlib
import logging
import random
import time
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.sources import Source, Version
from hantei_evaluator.run.troubles import ShortReadError, Trouble, explain, trouble_of

TRIES_WITHOUT_PROGRESS = 5
FIRST_PAUSE_SECONDS = 0.5
"""Doubled with each try: five tries against a silent server take 60 s, against one that is away 8 s."""
MAX_CONTENTS = 4
"""A file that changes this often while it is copied is still being written."""
LOG_SECONDS = 10.0
logger = logging.getLogger(__name__)


class Place(NamedTuple):
    """How a file is called in messages."""

    what: str
    """The field: checkpoint, inputs[data]."""
    shown: str
    """The URI without credentials."""
    scheme: str


class Retries:
    """Counts tries that brought nothing new, and waits between them."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._furthest = 0
        self._count = 0

    def after(self, error: Exception, position: int = 0) -> None:
        """Wait for the next try; raises SourceUnavailable or CheckpointMissing when there is none."""
        if position > self._furthest:
            self._furthest, self._count = position, 0
        self._count += 1
        place, trouble = self._place, trouble_of(error)
        problem = explain(error, place.scheme)
        if trouble is not Trouble.PASSING:
            raise EvaluationError(
                Reason.CHECKPOINT_MISSING, f"{place.what}: {place.shown} can't be fetched: {problem}."
            ) from error
        if self._count >= TRIES_WITHOUT_PROGRESS:
            came = f"after {position} bytes, " if position else ""
            raise EvaluationError(
                Reason.SOURCE_UNAVAILABLE,
                f"{place.what}: {place.shown} can't be fetched: {came}{self._count} tries brought nothing; the last: {problem}. "
                "See whether the server can be reached from the pod.",
            ) from error
        pause_seconds = FIRST_PAUSE_SECONDS * 2 ** (self._count - 1) * random.uniform(0.5, 1)  # noqa: S311  # no secret
        logger.warning("%s: cut after %d bytes (%s); going on in %.1f s", place.what, position, problem, pause_seconds)
        time.sleep(pause_seconds)


class _Copy:
    """The copy of one file: what came of its present content, and how to go on."""

    def __init__(self, source: Source, path: str, place: Place, file: IO[bytes], room_bytes: int | None) -> None:
        self._source = source
        self._path = path
        self._place = place
        self._file = file
        self._room_bytes = room_bytes
        self._version: Version | None = None
        self._contents = 0
        self._digest = hashlib.sha256()
        self.position = 0

    def step(self) -> str | None:
        """Read on from where it stands to the end, and return the SHA-256, or None when it is to be begun anew."""
        version = self._source.open(self._path, self.position)
        if version != self._version:
            self._note_new_content(version)
            if self._source.position:
                return None
        if self._source.position != self.position:
            self._begin_anew()
        self._refuse_large(version.size_bytes or 0)
        self._read_to_the_end(version)
        if version.size_bytes not in {None, self.position}:
            raise ShortReadError(f"the answer ended after {self.position} of {version.size_bytes} bytes")
        return self._digest.hexdigest() if self._source.unchanged(version) else None

    def _note_new_content(self, version: Version) -> None:
        self._version, self._contents = version, self._contents + 1
        self._begin_anew()
        if self._contents > MAX_CONTENTS:
            raise EvaluationError(
                Reason.CHECKPOINT_INCOMPLETE,
                f"{self._place.what}: {self._place.shown} changed {MAX_CONTENTS} times while it was fetched: it is still being "
                "written. Write it under another name and rename it when it is complete.",
            )

    def _begin_anew(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._digest = hashlib.sha256()
        self.position = 0

    def _read_to_the_end(self, version: Version) -> None:
        next_log = time.monotonic() + LOG_SECONDS
        while piece := self._source.read():
            self._refuse_large(self.position + len(piece))
            self._write(piece)
            if time.monotonic() >= next_log:
                next_log += LOG_SECONDS
                total = "?" if version.size_bytes is None else version.size_bytes
                logger.info("%s: %d of %s bytes fetched", self._place.what, self.position, total)

    def _write(self, piece: bytes) -> None:
        try:
            self._file.write(piece)
            # A full disk is noticed here, not when the file is closed.
            self._file.flush()
        except OSError as error:
            full = error.errno == errno.ENOSPC
            raise EvaluationError(
                Reason.STORAGE_FULL if full else Reason.EVALUATOR_ERROR,
                f"{self._place.what}: {self._place.shown} can't be written to scratch space after {self.position} bytes: "
                f"{error.strerror}. {'Raise spec.resources.ephemeralStorage.' if full else ''}".rstrip(),
            ) from error
        self._digest.update(piece)
        self.position += len(piece)

    def _refuse_large(self, size_bytes: int) -> None:
        if self._room_bytes is not None and size_bytes > self._room_bytes:
            raise EvaluationError(
                Reason.STORAGE_FULL,
                f"{self._place.what}: {self._place.shown} has {size_bytes} bytes or more, larger than the {self._room_bytes} bytes "
                "of scratch space that are left: raise spec.resources.ephemeralStorage.",
            )


def copy(source: Source, path: str, target: Path, place: Place, room_bytes: int | None) -> str:
    """Copy the file and return its SHA-256; a part of it never lies under the target's name.

    Raises CheckpointMissing when it is absent or denied, SourceUnavailable when it can't be reached, CheckpointIncomplete when it keeps changing
    and StorageFull when it is larger than ``room_bytes``, before the first byte where the server says its size.
    """
    partial = target.with_name(f".{target.name}.partial")
    retries = Retries(place)
    digest: str | None = None
    try:
        with partial.open("wb") as file:
            copied = _Copy(source, path, place, file, room_bytes)
            while digest is None:
                try:
                    digest = copied.step()
                except EvaluationError:
                    raise
                except Exception as error:  # noqa: BLE001  # clients raise anything
                    retries.after(error, copied.position)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return digest


def file_name(path: str) -> str:
    """The last part of a URI's path as a file's name here."""
    name = PurePosixPath(path).name
    return name if name not in {"", ".", ".."} and len(name.encode()) <= 200 else "artifact"
