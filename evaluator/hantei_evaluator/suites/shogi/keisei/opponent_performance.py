"""Keisei's ``opponent_performance_data.json``: how the agent fared against each opponent, over many evaluations.

Keisei picks opponents by it where ``enable_enhanced_opponents`` is set. It is read and written here, so that it can go
along with ratings and results; who is played is said by a run's spec.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi.keisei.shared_file import (
    LOCK_SECONDS,
    exclusive,
    read_json_object,
    replace_json_object,
)


class OpponentPerformance(BaseModel):
    """What is known of one opponent; wins and losses are the agent's. Unknown fields are kept."""

    model_config = ConfigDict(extra="allow")

    total_games: int = Field(default=0, ge=0)
    wins_against: int = Field(default=0, ge=0)
    losses_against: int = Field(default=0, ge=0)
    draws_against: int = Field(default=0, ge=0)
    average_game_length: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """In plies; Keisei's moving average, which weighs the newest game with 0.1."""
    elo_rating: float = Field(default=1200.0, allow_inf_nan=False)
    difficulty_level: float = Field(default=0.5, ge=0, le=1)
    recent_win_rates: list[float] = Field(default_factory=list, max_length=10)
    performance_trend: Literal["improving", "declining", "stable"] = "stable"
    opponent_type: str = "unknown"
    tags: list[str] = Field(default_factory=list)
    last_played: datetime | None = None
    """ISO 8601 in the file, without a time zone as Keisei writes it."""


def read_performance(path: Path) -> dict[str, OpponentPerformance]:
    """Performance by the opponent's name, without a lock; empty without a file.

    Raises:
        EvaluationError: the file can't be read, or is no such file.

    """
    found = {}
    for name, body in (read_json_object(path) or {}).items():
        try:
            found[name] = OpponentPerformance.model_validate(body)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, (name, *first["loc"])))
            raise EvaluationError(
                Reason.INVALID_TASK, f"{path}: {field} is {first['input']!r}: {first['msg']}. Mend the file."
            ) from error
    return found


@contextmanager
def performance_at(path: Path, *, timeout_seconds: float = LOCK_SECONDS) -> Iterator[dict[str, OpponentPerformance]]:
    """Change what is known of opponents: lock, read, hand out, and write when the block ends without an exception.

    Raises:
        EvaluationError: the lock was not free within ``timeout_seconds``; the file is broken; it can't be written.

    """
    with exclusive(path, timeout_seconds=timeout_seconds):
        known = read_performance(path)
        yield known
        replace_json_object(path, {name: each.model_dump(mode="json") for name, each in known.items()})
