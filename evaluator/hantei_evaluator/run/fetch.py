"""Fetches a file by URI into scratch space, bounded in size."""

import errno
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError

_CHUNK_BYTES = 1 << 20
_DENIED_STATUS = frozenset({401, 403})
_ABSENT_STATUS = frozenset({404, 410})


def fetch(what: str, uri: str, directory: Path, limit_bytes: int | None) -> Path:
    """Copy the file at an fsspec URI into the directory and return its path.

    Raises CheckpointMissing when it is absent, denied or can't be reached, StorageFull when it is larger than
    ``limit_bytes`` or than the disk, and InvalidTask when the image has no filesystem for the URI's scheme.
    """
    import fsspec  # noqa: PLC0415  # only for a URI

    shown = without_credentials(uri)
    directory.mkdir(parents=True, exist_ok=True)
    name = PurePosixPath(urlsplit(uri).path).name or "artifact"
    target = directory / name
    # Through the environment's proxy, as every other client of the image.
    options = {"client_kwargs": {"trust_env": True}} if urlsplit(uri).scheme in {"http", "https"} else {}
    try:
        filesystem, path = fsspec.core.url_to_fs(uri, **options)
    except (ImportError, ValueError) as error:
        raise EvaluationError(
            Reason.INVALID_TASK, f"{what}: the image can't open {shown}: {error}. Install the filesystem in the image."
        ) from error
    try:
        with filesystem.open(path, "rb") as source, target.open("wb") as copy:
            _copy(what, shown, source, copy, limit_bytes)
    except EvaluationError:
        target.unlink(missing_ok=True)
        raise
    except Exception as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        problem = _why(error).replace(uri, shown)
        raise EvaluationError(Reason.CHECKPOINT_MISSING, f"{what}: {shown} can't be fetched: {problem}.") from error
    return target


def without_credentials(uri: str) -> str:
    """The URI without user, password and query, which may hold a signature."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _why(error: BaseException) -> str:
    """What stood in the way: fsspec says FileNotFoundError for nearly everything, and has the cause behind it."""
    cause = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ is not None else error
    status = getattr(cause, "status", None)
    if isinstance(cause, PermissionError) or status in _DENIED_STATUS:
        return "access is denied: check credentialsSecretName"
    if isinstance(cause, FileNotFoundError) or status in _ABSENT_STATUS:
        return "nothing is there"
    return f"{type(cause).__name__}: {cause}"


def _copy(what: str, shown: str, source: IO[bytes], copy: IO[bytes], limit_bytes: int | None) -> None:
    done = 0
    while chunk := source.read(_CHUNK_BYTES):
        done += len(chunk)
        if limit_bytes is not None and done > limit_bytes:
            raise EvaluationError(
                Reason.STORAGE_FULL,
                f"{what}: {shown} is larger than the {limit_bytes} bytes of scratch space: raise spec.resources.ephemeralStorage.",
            )
        copy.write(chunk)
