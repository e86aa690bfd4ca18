"""The end of the log, kept in memory for the failure's evidence, without secrets."""

import logging
import os
import re
import threading
from collections.abc import Mapping

from typing_extensions import override

TAIL_CHARACTERS = 2048
SHORTEST_SECRET = 6
"""Shorter values ("1", "true") are no secrets, and hiding them would garble the log."""

OUTPUT_LOGGER = "hantei_evaluator.output"
"""Takes what a child process prints, as it comes: for the tail alone."""

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS_JSON", re.IGNORECASE)
_SIGNATURE = re.compile(
    r"([?&](?:X-\w+-)?(?:Signature|Credential|Security-Token|sig|token|access_token)=)[^&\s'\"]+", re.IGNORECASE
)
_USER_IN_URL = re.compile(r"(?<=://)[^/\s@'\"]+@")


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Values of the variables whose name says that they are secret, the longest first."""
    values = {
        value for name, value in environment.items() if _SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET
    }
    return sorted(values, key=len, reverse=True)


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The text with every secret of the environment, signature of a URL and user in one replaced by ``***``."""
    for secret in secrets_of(os.environ if environment is None else environment):
        text = text.replace(secret, "***")
    return _USER_IN_URL.sub("***@", _SIGNATURE.sub(r"\1***", text))


class LogTail:
    """The last few kilobytes that were logged or printed."""

    def __init__(self) -> None:
        self._text = ""
        self._lock = threading.Lock()

    def add(self, text: str) -> None:
        """Append; more than four tails' worth is dropped from the front."""
        with self._lock:
            self._text = (self._text + text)[-4 * TAIL_CHARACTERS :]

    def text(self) -> str:
        """The tail, redacted before it is cut, so that no half of a secret is left at its start."""
        with self._lock:
            whole = self._text
        return redact(whole)[-TAIL_CHARACTERS:]


class TailHandler(logging.Handler):
    """Adds what is logged to the tail."""

    def __init__(self, tail: LogTail, terminator: str = "\n") -> None:
        super().__init__()
        self._tail = tail
        self._terminator = terminator

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._tail.add(self.format(record) + self._terminator)


class RedactingFormatter(logging.Formatter):
    """One line a record, without secrets."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def set_up_logging(tail: LogTail) -> None:
    """Log to stderr and into the tail, from all libraries at WARNING, from ours at INFO."""
    formatter = RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handlers = [logging.StreamHandler(), TailHandler(tail)]
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    logging.getLogger("hantei_evaluator").setLevel(logging.INFO)
    output = logging.getLogger(OUTPUT_LOGGER)
    output.propagate = False
    output.handlers = [TailHandler(tail, terminator="")]
