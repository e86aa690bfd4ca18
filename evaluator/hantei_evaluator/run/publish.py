"""result.json and the termination message."""

import json
import logging
import os
from pathlib import Path

from hantei_api.result import EvaluationResult, to_termination_message

RESULT_FILE = "result.json"
TERMINATION_LOG = "/dev/termination-log"
TERMINATION_LOG_VARIABLE = "HANTEI_TERMINATION_LOG"
logger = logging.getLogger(__name__)


def write_result(directory: Path, result: EvaluationResult) -> None:
    """Write result.json atomically: a reader sees the old one or the whole new one.

    Raises OSError when it can't be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f".{RESULT_FILE}.{os.getpid()}"
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(result.to_body(), file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(directory / RESULT_FILE)
    finally:
        temporary.unlink(missing_ok=True)


def write_termination_message(result: EvaluationResult) -> None:
    """Hand the summary to the kubelet, in one write: the file is bind-mounted, so that it can't be replaced.

    Outside a pod there is no such file, and nothing is written.
    """
    path = Path(os.environ.get(TERMINATION_LOG_VARIABLE, TERMINATION_LOG))
    if not path.exists():
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(descriptor, to_termination_message(result).encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        logger.warning("The termination message can't be written: %s", error)
