"""Waits that end: a condition is polled, and who gives up says what the world looked like."""

import os
import time
from collections.abc import Callable
from typing import Final, TypeVar

Found = TypeVar("Found")

TIME_SCALE: Final = float(os.environ.get("HANTEI_TEST_TIME_SCALE", "1"))
"""Slow machines set HANTEI_TEST_TIME_SCALE=2 and every wait is twice as long."""

START_SECONDS: Final = 60.0
"""A program of the control plane is up."""
REACTION_SECONDS: Final = 20.0
"""A controller has reacted to one change."""
POD_SECONDS: Final = 120.0
"""A pod has been scheduled, started and become ready."""
QUIET_SECONDS: Final = 3.0
"""How long something that must not happen is watched for."""

POLL_SECONDS: Final = 0.1


def eventually(
    check: Callable[[], Found], timeout_seconds: float = REACTION_SECONDS, *, describe: Callable[[], str] | None = None
) -> Found:
    """Call ``check`` until it returns something true without an AssertionError, and return that.

    ``describe`` is called when time runs out: the objects, events and logs that a person wants to see then.
    """
    end = time.monotonic() + timeout_seconds * TIME_SCALE
    while True:
        last: object
        try:
            if found := check():
                return found
            last = f"the last answer was {found!r}"
        except AssertionError as error:
            last = error
        if time.monotonic() >= end:
            raise AssertionError(_report(f"not within {timeout_seconds * TIME_SCALE:g} s: {last}", describe))
        time.sleep(POLL_SECONDS)


def consistently(
    check: Callable[[], object], seconds: float = QUIET_SECONDS, *, describe: Callable[[], str] | None = None
) -> None:
    """Call ``check`` for that long; it must return something true every time."""
    start = time.monotonic()
    while (elapsed := time.monotonic() - start) < seconds * TIME_SCALE:
        if not (found := check()):
            raise AssertionError(_report(f"after {elapsed:.1f} s no longer: {found!r}", describe))
        time.sleep(POLL_SECONDS)


def _report(message: str, describe: Callable[[], str] | None) -> str:
    return f"{message}\n{describe()}" if describe else message
