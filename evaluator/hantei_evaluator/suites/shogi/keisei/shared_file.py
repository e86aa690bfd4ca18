"""A JSON file that several processes change: read whole, replaced whole, one writer at a time."""

import errno
import fcntl
import json
import os
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError

LOCK_SECONDS: Final = 10.0
"""How long a writer waits for the others, in seconds."""

_POLL_SECONDS: Final = 0.02
_NEW_FILE_MODE: Final = 0o666
"""Less the umask: Keisei, which reads the same file, may run as another user."""


@contextmanager
def exclusive(path: Path, *, timeout_seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock of the file: an flock on the empty file NAME.lock beside it.

    The kernel lets go of the lock when its holder ends, however it ends, so the lock file that stays there locks nobody
    out; it is never removed, because a process that waits on a removed file would not meet one that waits on the new.
    Between the nodes of a shared volume it holds where the file system carries flock over (NFS since Linux 2.6.12,
    CephFS, Lustre mounted with ``flock``).

    Raises:
        EvaluationError: others held the lock for ``timeout_seconds``, or the directory can't be written or locked in.

    """
    # Beside the file itself, so that all who come by different links meet.
    target = Path(os.path.realpath(path))
    lock = target.with_name(f"{target.name}.lock")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _NEW_FILE_MODE)
    except OSError as error:
        raise _refused(error, lock, "create the lock file") from error
    try:
        _acquire(descriptor, lock, path, timeout_seconds)
        yield
    finally:
        os.close(descriptor)


def read_json_object(path: Path) -> dict[str, Any] | None:
    """The object in the file, or None when there is no file. No lock is needed: the file is only ever replaced whole.

    Raises:
        EvaluationError: the file can't be read, or holds anything but a JSON object.

    """
    try:
        body = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{path} can't be read ({error.strerror or error}): check the path, and that user {os.getuid()} may read it.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise EvaluationError(
            Reason.INVALID_TASK, f"{path} is no JSON ({error}): mend it, or move it away to start a new one."
        ) from error
    if not isinstance(body, dict):
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{path} holds a JSON {type(body).__name__}, which must be an object: mend it, or move it away to start a new one.",
        )
    return body


def replace_json_object(path: Path, body: Mapping[str, Any]) -> None:
    """Put the object into the file: readers see the old file or the new one, also after a kill or a power cut.

    The caller holds ``exclusive(path)``, so one name for the unfinished file is enough, and one that a killed writer
    left is swept away by the next.

    Raises:
        EvaluationError: the directory is full or can't be written.

    """
    target = Path(os.path.realpath(path))
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _NEW_FILE_MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            with suppress(FileNotFoundError):
                os.fchmod(descriptor, target.stat().st_mode & 0o777)
            json.dump(body, file, indent=2, ensure_ascii=False, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(descriptor)
        unfinished.replace(target)
        _sync_directory(target.parent)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise _refused(error, path, "write the file") from error


def _acquire(descriptor: int, lock: Path, path: Path, timeout_seconds: float) -> None:
    give_up = time.monotonic() + timeout_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                raise EvaluationError(
                    Reason.EVALUATOR_ERROR,
                    f"{path} was locked by another process for {timeout_seconds:g} s (the lock is on {lock.name}): "
                    f"look for a process that hangs while it holds the file open, or evaluate fewer checkpoints at once.",
                ) from None
            # Not in step with the others that wait.
            time.sleep(_POLL_SECONDS * random.uniform(0.2, 1))  # noqa: S311  # no secret
        except OSError as error:
            raise _refused(error, lock, "lock the file (the file system must support flock)") from error
        else:
            return


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems know no fsync of a directory; the rename itself is as durable there as it gets.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EBADF}:
            raise
    finally:
        os.close(descriptor)


def _refused(error: OSError, path: Path, what: str) -> EvaluationError:
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    advice = "free some space" if full else f"check that user {os.getuid()} may write in {path.parent}"
    return EvaluationError(
        Reason.STORAGE_FULL if full else Reason.EVALUATOR_ERROR,
        f"can't {what} {path}: {error.strerror or error}: {advice}.",
    )
