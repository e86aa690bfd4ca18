"""result.json and the termination message."""

import json
import logging
import os
from pathlib import Path

from hantei_api.result import EvaluationResult, to_termination_message
from hantei_evaluator.run.whole_file import write_whole

RESULT_FILE = "result.json"
TERMINATION_LOG = "/dev/termination-log"
TERMINATION_LOG_VARIABLE = "HANTEI_TERMINATION_LOG"
logger = logging.getLogger(__name__)


def write_result(directory: Path, result: EvaluationResult) -> None:
    """Write result.json atomically: a reader sees the old one or the whole new one.

    Raises OSError when it can't be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    content = json.dumps(result.to_body(), indent=2, ensure_ascii=False)
    write_whole(directory / RESULT_FILE, f"{content}\n".encode())


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
