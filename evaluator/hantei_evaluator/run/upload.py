"""Uploads a directory of results to an fsspec URI; result.json goes last, so that who sees it sees all."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hantei_api.reasons import Reason
from hantei_evaluator.run.copying import FIRST_PAUSE_SECONDS
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.publish import RESULT_FILE
from hantei_evaluator.run.sources import bounded, options
from hantei_evaluator.run.troubles import Trouble, explain, scrub, trouble_of, without_credentials

SCHEMES = ("s3", "gs", "file")
TRIES = 5


def refuse_unwritable(uri: str) -> None:
    """Raises InvalidTask for a scheme that results can't be uploaded to, before anything is evaluated."""
    scheme = urlsplit(uri).scheme
    if scheme not in SCHEMES or "::" in uri:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"output.uri: results can't be uploaded to {without_credentials(uri)}; use one of {', '.join(SCHEMES)}.",
        )


def upload(directory: Path, uri: str, seconds_left: Callable[[], float]) -> str:
    """Upload all files below the directory, and return what went wrong, or "".

    A file that fails is tried again while time is left; whatever is not uploaded, result.json isn't either.
    """
    import fsspec  # noqa: PLC0415  # only for a URI

    scheme, shown = urlsplit(uri).scheme, without_credentials(uri)
    try:
        refuse_unwritable(uri)
        filesystem, root = fsspec.core.url_to_fs(uri, **options(scheme), **_local_options(scheme))
    except EvaluationError as error:
        return str(error)
    except (ImportError, ValueError, OSError) as error:
        return f"{shown} can't be opened: {scrub(str(error))}."
    files = sorted(each for each in directory.rglob("*") if each.is_file() and not each.name.startswith("."))
    files.sort(key=lambda each: each == directory / RESULT_FILE)
    for file in files:
        name = file.relative_to(directory).as_posix()
        if problem := _upload_file(filesystem, file, f"{root.rstrip('/')}/{name}", scheme, seconds_left):
            return f"{shown}: {name} can't be uploaded: {problem}."
    return ""


def _local_options(scheme: str) -> dict[str, Any]:
    return {"auto_mkdir": True} if scheme == "file" else {}


def _upload_file(filesystem: Any, file: Path, target: str, scheme: str, seconds_left: Callable[[], float]) -> str:
    problem = "publishSeconds ran out"
    for number in range(TRIES):
        if seconds_left() <= 0:
            break
        try:
            _put(filesystem, file, target, seconds_left)
        except Exception as error:  # noqa: BLE001  # clients raise anything
            problem = explain(error, scheme)
            if trouble_of(error) is not Trouble.PASSING:
                break
            time.sleep(max(min(FIRST_PAUSE_SECONDS * 2**number, seconds_left()), 0))
        else:
            return ""
    return problem


def _put(filesystem: Any, file: Path, target: str, seconds_left: Callable[[], float]) -> None:
    """Object stores show a whole object or none; a file is written under another name and moved."""
    if filesystem.async_impl:
        bounded(filesystem, "put_file", str(file), target, timeout_seconds=max(seconds_left(), 0.1))
    else:
        folder, _, name = target.rpartition("/")
        partial = f"{folder}/.{name}.partial"
        filesystem.put_file(str(file), partial)
        filesystem.mv(partial, target)
