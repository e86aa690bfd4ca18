"""A pool of earlier checkpoints to play against: the newest ``size`` of them, and which of them is the best."""

import random
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi.keisei.elo_registry import EloRegistry
from hantei_evaluator.suites.shogi.keisei.shared_file import (
    LOCK_SECONDS,
    exclusive,
    read_json_object,
    replace_json_object,
)

POOL_SIZE: Final = 5
MAX_POOL_SIZE: Final = 1000
"""Keisei's own limit."""


class OpponentPool:
    """Paths of checkpoints, the oldest first; adding to a full pool drops the oldest.

    Keisei keeps this pool in the training process's memory, so a restarted training begins with an empty one. Here it
    is a file, ``{"pool_size": 5, "checkpoints": [PATH, ...]}``, which Keisei doesn't know.

    Raises:
        EvaluationError: ``size`` is not between 1 and 1000.

    """

    def __init__(self, checkpoints: Sequence[str] = (), *, size: int = POOL_SIZE) -> None:
        if not 1 <= size <= MAX_POOL_SIZE:
            raise EvaluationError(
                Reason.INVALID_TASK, f"pool_size is {size}, which must lie between 1 and {MAX_POOL_SIZE}."
            )
        self._checkpoints: deque[str] = deque(checkpoints, maxlen=size)

    @property
    def size(self) -> int:
        """The most checkpoints that it holds."""
        return self._checkpoints.maxlen or MAX_POOL_SIZE

    @property
    def checkpoints(self) -> list[str]:
        """The paths, the oldest first."""
        return list(self._checkpoints)

    def add(self, checkpoint: str) -> None:
        """Add a path as the newest; one that is there already becomes the newest."""
        if checkpoint in self._checkpoints:
            self._checkpoints.remove(checkpoint)
        self._checkpoints.append(checkpoint)

    def sample(self, rng: random.Random) -> str | None:
        """One of the paths, each as likely as the others; None of an empty pool."""
        return rng.choice(self._checkpoints) if self._checkpoints else None

    def champion(self, ratings: EloRegistry) -> str | None:
        """The path whose file name has the highest Elo rating, the newest of equals; None of an empty pool."""
        newest_first = reversed(self._checkpoints)
        return max(newest_first, key=lambda path: ratings.rating(Path(path).name), default=None)

    def to_body(self) -> dict[str, Any]:
        """The file's content."""
        return {"pool_size": self.size, "checkpoints": self.checkpoints}


def read_pool(path: Path, *, size: int = POOL_SIZE) -> OpponentPool:
    """The pool as it is now, without a lock; ``size`` is for a new pool, an existing file's own size counts.

    Raises:
        EvaluationError: the file can't be read, or is no pool.

    """
    body = read_json_object(path)
    if body is None:
        return OpponentPool(size=size)
    stored, checkpoints = body.get("pool_size", size), body.get("checkpoints", [])
    if isinstance(stored, bool) or not isinstance(stored, int):
        raise EvaluationError(Reason.INVALID_TASK, f"{path}: pool_size is {stored!r}, which must be a whole number.")
    if not isinstance(checkpoints, list) or not all(isinstance(each, str) for each in checkpoints):
        raise EvaluationError(Reason.INVALID_TASK, f"{path}: checkpoints must be a list of paths.")
    return OpponentPool(checkpoints, size=stored)


@contextmanager
def pool_at(path: Path, *, size: int = POOL_SIZE, timeout_seconds: float = LOCK_SECONDS) -> Iterator[OpponentPool]:
    """Change the pool: lock, read, hand out, and write when the block ends without an exception.

    Raises:
        EvaluationError: the lock was not free within ``timeout_seconds``; the file is broken; it can't be written.

    """
    with exclusive(path, timeout_seconds=timeout_seconds):
        pool = read_pool(path, size=size)
        yield pool
        replace_json_object(path, pool.to_body())
