"""What a suite is given when a test runs it in its own process."""

import math
from collections.abc import Iterable, Mapping
from typing import Any


class Recorder:
    """Keeps what is recorded."""

    def __init__(self) -> None:
        self.recorded: list[Mapping[str, Any]] = []
        self.last: tuple[int, int | None] = (0, None)

    def sample(self, record: Mapping[str, Any]) -> None:
        """Keep it."""
        self.recorded.append(record)

    def samples(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Keep them."""
        self.recorded.extend(records)

    def progress(self, done: int, total: int | None) -> None:
        """Keep the last."""
        self.last = (done, total)


class StopAfter:
    """A deadline that comes after so many questions."""

    def __init__(self, questions: float = math.inf) -> None:
        self._left = questions

    def remaining_seconds(self) -> float:
        """No end is in sight."""
        return math.inf

    def requested(self) -> bool:
        """Whether the last question was asked."""
        self._left -= 1
        return self._left < 0
