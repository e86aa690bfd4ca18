"""Says why a file can't be read, and what is there instead."""

import os
from pathlib import Path

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError


def unreadable(path: Path, error: OSError) -> EvaluationError:
    """The error for a file that can't be read: CheckpointMissing, or CheckpointInvalid for a folder in a file's place."""
    if isinstance(error, PermissionError):
        return EvaluationError(
            Reason.CHECKPOINT_MISSING,
            f"{path}: permission denied for uid {os.geteuid()}, gid {os.getegid()}; {_owner_and_mode(path)}. "
            "Make it readable for that user or group (chmod o+r, o+x on folders), or run as its owner.",
        )
    if isinstance(error, IsADirectoryError):
        return EvaluationError(Reason.CHECKPOINT_INVALID, f"{path}: is a folder. Name the checkpoint file inside it.")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        present = next((parent for parent in path.parents if parent.is_dir()), path.parent)
        return EvaluationError(
            Reason.CHECKPOINT_MISSING,
            f"{path}: no such file; {present} is there and holds {_listing(present)}. Check the checkpoint's path.",
        )
    return EvaluationError(Reason.CHECKPOINT_MISSING, f"{path}: can't be read: {error.strerror or error}.")


def _owner_and_mode(path: Path) -> str:
    """What forbids reading: the file's owner and mode, or the nearest folder's that may be looked at."""
    for candidate in (path, *path.parents):
        try:
            found = candidate.stat()
        except OSError:
            continue
        return f"{candidate} has uid {found.st_uid}, gid {found.st_gid}, mode {found.st_mode & 0o7777:04o}"
    return "none of its folders may be looked at"


def _listing(folder: Path, limit: int = 5) -> str:
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return "what this user can't list"
    shown = ", ".join(names[:limit]) or "nothing"
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown
