"""Fetches a file or a folder by URI into scratch space, bounded in size and in tries."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from hantei_api.reasons import Reason
from hantei_evaluator.run.copying import Place, Retries, copy, file_name
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.sources import MAX_FILES, Source, connect
from hantei_evaluator.run.troubles import without_credentials


@dataclass(frozen=True)
class Fetched:
    """What was fetched."""

    path: Path
    sha256: str
    """Of a file; of a folder that of its listing (``digest_of_listing``)."""


def fetch(what: str, uri: str, directory: Path, limit_bytes: int | None) -> Fetched:
    """Copy what an fsspec URI names into the directory: a file under its name, or all files below a folder.

    Raises CheckpointMissing when it is absent or denied, SourceUnavailable when it can't be reached, CheckpointIncomplete when it keeps changing,
    StorageFull when it is larger than ``limit_bytes`` in all, and InvalidTask for a URI that the image can't open.
    """
    place = Place(what, without_credentials(uri), urlsplit(uri).scheme)
    source, path = connect(what, uri)
    try:
        if _is_folder(source, path, place):
            return _fetch_folder(source, path, directory, place, limit_bytes)
        directory.mkdir(parents=True, exist_ok=True)
        target = directory / file_name(urlsplit(uri).path)
        return Fetched(target, copy(source, path, target, place, limit_bytes))
    finally:
        source.close()


def digest_of_listing(digests: Mapping[PurePosixPath, str]) -> str:
    """SHA-256 of the lines that ``sha256sum`` prints for the files in the order of their paths."""
    lines = "".join(f"{digests[path]}  {path}\n" for path in sorted(digests))
    return hashlib.sha256(lines.encode()).hexdigest()


def _is_folder(source: Source, path: str, place: Place) -> bool:
    retries = Retries(place)
    while True:
        try:
            return source.is_folder(path)
        except Exception as error:  # noqa: BLE001  # clients raise anything
            retries.after(error)


def _fetch_folder(source: Source, path: str, directory: Path, place: Place, limit_bytes: int | None) -> Fetched:
    files = _listing(source, path, place)
    if not files:
        raise EvaluationError(Reason.CHECKPOINT_MISSING, f"{place.what}: {place.shown} is a folder without any file.")
    total = sum(files.values())
    if limit_bytes is not None and total > limit_bytes:
        raise EvaluationError(
            Reason.STORAGE_FULL,
            f"{place.what}: the {len(files)} files of {place.shown} have {total} bytes, more than the {limit_bytes} that are "
            "left of the scratch space: raise spec.resources.ephemeralStorage.",
        )
    digests: dict[PurePosixPath, str] = {}
    left = limit_bytes
    for name in sorted(files):
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shown = place._replace(shown=f"{place.shown.rstrip('/')}/{name}")
        digests[PurePosixPath(name)] = copy(source, f"{path.rstrip('/')}/{name}", target, shown, left)
        left = None if left is None else left - target.stat().st_size
    return Fetched(directory, digest_of_listing(digests))


def _listing(source: Source, path: str, place: Place) -> dict[str, int]:
    retries = Retries(place)
    while True:
        try:
            files = source.files(path)
            break
        except Exception as error:  # noqa: BLE001  # clients raise anything
            retries.after(error)
    if len(files) > MAX_FILES:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{place.what}: {place.shown} holds {len(files)} files; at most {MAX_FILES} are fetched. Pack them into one file.",
        )
    for name in files:
        parts = name.split("/")
        if any(part in {"", ".", ".."} or "\0" in part or len(part.encode()) > 200 for part in parts):
            raise EvaluationError(
                Reason.INVALID_TASK,
                f"{place.what}: {place.shown} holds {name[:100]!r}, which can't be a file's name here. Rename it.",
            )
    return files
