"""The checkpoint and the inputs: there, whole and readable, before anything is loaded."""

import errno
import hashlib
import os
import stat
from pathlib import Path

from hantei_api.reasons import Reason
from hantei_api.task import EvaluationTask, TaskArtifact
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.fetch import fetch

_CHUNK_BYTES = 1 << 20
_NAMES_SHOWN = 8


def gather(task: EvaluationTask, scratch: Path) -> tuple[Path, str, Path]:
    """The checkpoint's path and SHA-256, and a directory with every input under its name.

    Raises CheckpointMissing for what is absent or unreadable, CheckpointInvalid when a SHA-256 differs and
    StorageFull or InvalidTask for what can't be fetched.
    """
    fetched = scratch / "fetched"
    budget = task.limits.scratch_bytes
    checkpoint = _locate("checkpoint", task.checkpoint, fetched / "checkpoint", budget)
    digest = _verify("checkpoint", checkpoint, task.checkpoint.sha256)
    inputs = scratch / "inputs"
    inputs.mkdir()
    for item in task.inputs:
        what = f"inputs[{item.name}]"
        if item.path is None:
            _locate(what, item, inputs / item.name, budget)
        else:
            (inputs / item.name).symlink_to(_locate(what, item, inputs, budget).absolute())
        if item.sha256 is not None:
            _verify(what, inputs / item.name, item.sha256)
    return checkpoint, digest, inputs


def sha256_of(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of the lines ``sha256sum`` prints for its files in the order of their paths."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    listing = hashlib.sha256()
    for file_path in sorted(each for each in path.rglob("*") if each.is_file()):
        listing.update(f"{sha256_of(file_path)}  {file_path.relative_to(path)}\n".encode())
    return listing.hexdigest()


def _locate(what: str, artifact: TaskArtifact, directory: Path, limit_bytes: int | None) -> Path:
    if (artifact.path is None) == (artifact.uri is None):
        raise EvaluationError(Reason.INVALID_TASK, f"{what} names exactly one of path, uri.")
    if artifact.uri is not None:
        return fetch(what, artifact.uri, directory, limit_bytes)
    path = Path(artifact.path or "")
    try:
        path.stat()
        if path.is_dir():
            os.scandir(path).close()
        else:
            path.open("rb").close()
    except OSError as error:
        raise EvaluationError(Reason.CHECKPOINT_MISSING, _why_unreadable(what, path, error)) from error
    return path


def _verify(what: str, path: Path, expected: str | None) -> str:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise EvaluationError(Reason.CHECKPOINT_MISSING, _why_unreadable(what, path, error)) from error
    if expected is not None and found != expected:
        size = path.stat().st_size
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID,
            f"{what}: SHA-256 of {path} ({size} bytes) is {found}, the run expects {expected}. It was changed or cut short; "
            "correct sha256 or the file.",
        )
    return found


def _why_unreadable(what: str, path: Path, error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{what}: {path} can't be read by uid {os.getuid()}, gid {os.getgid()}{_mode(path)}. Make it readable."
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        parent = next((each for each in path.absolute().parents if each.is_dir()), Path("/"))
        return f"{what}: {path} does not exist. {_what_is_there(parent)}"
    return f"{what}: {path} can't be read: {error.strerror}."


def _what_is_there(directory: Path) -> str:
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208  # names alone are wanted
    except OSError as error:
        return f"{directory} can't be listed: {error.strerror}."
    shown = ", ".join(names[:_NAMES_SHOWN]) or "nothing"
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"{directory} holds {shown}{more}."


def _mode(path: Path) -> str:
    for each in (path, *path.parents):
        try:
            facts = each.stat()
        except OSError:
            continue
        return f" ({each}: owner {facts.st_uid}:{facts.st_gid}, mode {stat.filemode(facts.st_mode)})"
    return ""
