"""Reads the task, and says which field is wrong."""

import time
from pathlib import Path

from pydantic import ValidationError

from hantei_api.reasons import Reason
from hantei_api.task import EvaluationTask
from hantei_evaluator.run.errors import EvaluationError

MAX_TASK_BYTES = 1_000_000
MAX_ERRORS = 5


def read_task(path: Path) -> EvaluationTask:
    """The task in the file; raises InvalidTask with the path of each wrong field."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_TASK_BYTES + 1)
    except OSError as error:
        raise EvaluationError(Reason.INVALID_TASK, f"The task can't be read: {error}.") from error
    if len(text) > MAX_TASK_BYTES:
        raise EvaluationError(Reason.INVALID_TASK, f"The task {path} is larger than {MAX_TASK_BYTES} bytes.")
    try:
        return EvaluationTask.model_validate_json(text)
    except ValidationError as error:
        raise EvaluationError(Reason.INVALID_TASK, f"The task is invalid: {describe(error)}.") from error


def describe(error: ValidationError) -> str:
    """Each wrong field with its path and what is wrong, in one line."""
    found = error.errors(include_url=False, include_context=False)
    lines = [f"{'.'.join(str(part) for part in each['loc']) or 'task'}: {each['msg']}" for each in found[:MAX_ERRORS]]
    more = f"; and {len(found) - MAX_ERRORS} more" if len(found) > MAX_ERRORS else ""
    return "; ".join(lines) + more


def pod_age_seconds(task_file: Path) -> float:
    """Seconds since the pod started: its downwardAPI volume, and so the task file, is written then."""
    return time.time() - task_file.stat().st_mtime
