"""Who may reserve next while there is no guard: first come, first served, up to maxConcurrent."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple


class Place(NamedTuple):
    """A waiting run's place in the queue: runs are served in this order."""

    since: datetime
    namespace: str
    name: str


def runs_ahead(own: Place, waiting: Iterable[Place]) -> int:
    """How many waiting runs come before this one."""
    return sum(1 for place in waiting if place < own)


def slot_free(ahead: int, reserved: int, max_concurrent: int) -> bool:
    """Whether a run with so many before it may reserve now."""
    return ahead < max_concurrent - reserved
