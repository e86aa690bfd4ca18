"""Ends the process just before or after a chosen write, for the tests of what a crash there leaves behind.

``HANTEI_FAILPOINT=before:create_job:1`` ends it (exit code 137, as SIGKILL would) before the first ``create_job`` is sent,
``after:create_job:1`` when the answer has come and nobody has seen it yet. Unset, the default, it does nothing.
"""

import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping

ENVIRONMENT_NAME = "HANTEI_FAILPOINT"
EXIT_CODE = 137


class Failpoint:
    """Counts the writes that pass, and exits at the chosen one.

    Raises
    ------
    ValueError
        When the environment variable is set to something else than ``before|after:NAME:N``.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ, leave: Callable[[int], object] = os._exit) -> None:
        self._leave = leave
        self._lock = threading.Lock()
        self._passed: Counter[str] = Counter()
        self._at: tuple[str, int] | None = None
        setting = environment.get(ENVIRONMENT_NAME, "")
        if setting:
            side, _, rest = setting.partition(":")
            name, _, number = rest.partition(":")
            if side not in {"before", "after"} or not name or not number.isdecimal():
                raise ValueError(f"{ENVIRONMENT_NAME}={setting!r}: write before:NAME:N or after:NAME:N, N from 1")
            self._at = (f"{side}:{name}", int(number))

    def passing(self, side: str, name: str) -> None:
        """A write of that name is about to be sent (``before``) or was just answered (``after``)."""
        if self._at is None:
            return
        place = f"{side}:{name}"
        with self._lock:
            self._passed[place] += 1
            number = self._passed[place]
        if (place, number) == self._at:
            self._leave(EXIT_CODE)
