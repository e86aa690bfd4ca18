"""The checkpoint and the inputs: there, whole and readable, before anything is loaded."""

import hashlib
import os
from pathlib import Path, PurePosixPath

from hantei_api.names import INPUTS_DIRECTORY
from hantei_api.reasons import Reason
from hantei_api.task import EvaluationTask, TaskArtifact
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.fetch import digest_of_listing, fetch
from hantei_evaluator.run.formats import format_of
from hantei_evaluator.run.unreadable import unreadable
from hantei_evaluator.run.upload import refuse_unwritable


def gather(task: EvaluationTask, scratch: Path) -> tuple[Path, str, Path]:
    """The checkpoint's path and SHA-256, and a directory with every input under its name, a single file as NAME/FILE.

    Raises CheckpointMissing for what is absent or unreadable, CheckpointInvalid when a SHA-256 differs and
    StorageFull or InvalidTask for what can't be fetched.
    """
    if task.output_uri is not None:
        refuse_unwritable(task.output_uri)
    budget = task.limits.scratch_bytes
    checkpoint, digest = locate("checkpoint", task.checkpoint, scratch / "fetched" / "checkpoint", budget)
    if (task.suite.shogi or task.suite.classification) and checkpoint.is_file():
        # What can't be weights is refused before gigabytes of it are hashed.
        format_of(checkpoint)
    digest = verify("checkpoint", checkpoint, task.checkpoint.sha256, digest)
    inputs = scratch / "inputs"
    inputs.mkdir()
    for item in task.inputs:
        what = f"inputs[{item.name}]"
        path, found = locate(what, item, inputs / item.name, room_left(budget, scratch))
        if item.path is not None:
            _link(inputs / item.name, path.absolute())
        if item.sha256 is not None:
            verify(what, path, item.sha256, found)
    return checkpoint, digest, _at_fixed_place(inputs)


def locate(what: str, artifact: TaskArtifact, directory: Path, limit_bytes: int | None) -> tuple[Path, str | None]:
    """An artifact's path, fetched into the directory when it is a URI, and its SHA-256 when it is known by that.

    Raises CheckpointMissing for what is absent or unreadable, and what ``fetch`` raises.
    """
    if (artifact.path is None) == (artifact.uri is None):
        raise EvaluationError(Reason.INVALID_TASK, f"{what} names exactly one of path, uri.")
    if artifact.uri is not None:
        fetched = fetch(what, artifact.uri, directory, limit_bytes)
        return fetched.path, fetched.sha256
    path = Path(artifact.path or "")
    try:
        path.stat()
        if path.is_dir():
            os.scandir(path).close()
        else:
            path.open("rb").close()
    except OSError as error:
        raise EvaluationError(Reason.CHECKPOINT_MISSING, f"{what}: {unreadable(path, error)}") from error
    return path, None


def verify(what: str, path: Path, expected: str | None, found: str | None) -> str:
    """The SHA-256, computed unless ``found`` is it. Raises CheckpointInvalid, naming ``what``, when it is not the expected one."""
    try:
        found = found or sha256_of(path)
    except OSError as error:
        raise EvaluationError(Reason.CHECKPOINT_MISSING, f"{what}: {unreadable(path, error)}") from error
    if expected is not None and found != expected:
        size = path.stat().st_size
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID,
            f"{what}: SHA-256 of {path} ({size} bytes) is {found}, the run expects {expected}. It was changed or cut short; "
            "correct sha256 or the file.",
        )
    return found


def room_left(budget: int | None, scratch: Path) -> int | None:
    """Bytes of the cap that earlier fetches left."""
    if budget is None:
        return None
    return budget - sum(each.stat().st_size for each in scratch.rglob("*") if each.is_file() and not each.is_symlink())


def sha256_of(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of the lines ``sha256sum`` prints for its files in the order of their paths."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = (each for each in path.rglob("*") if each.is_file())
    return digest_of_listing({PurePosixPath(file.relative_to(path)): sha256_of(file) for file in files})


def _at_fixed_place(inputs: Path) -> Path:
    """In a pod the inputs appear below /inputs, which a command's argv can name; a laptop has no such empty folder."""
    fixed = Path(INPUTS_DIRECTORY)
    if not os.access(fixed, os.W_OK) or any(fixed.iterdir()):
        return inputs
    for entry in inputs.iterdir():
        _link(fixed / entry.name, entry)
    return fixed


def _link(link: Path, target: Path) -> None:
    """A file keeps its name, and so its suffix, as one that was fetched does."""
    if not target.is_dir():
        link.mkdir()
        link /= target.name
    link.symlink_to(target)
