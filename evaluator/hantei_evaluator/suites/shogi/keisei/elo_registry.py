"""Keisei's ``elo_ratings.json``: Elo ratings of checkpoints, kept over many evaluations.

``{"ratings": {ID: RATING}, "metadata": {"initial_rating": 1500.0, "k_factor": 32.0}}``. Keisei's ids are a checkpoint's
file name for opponents and the run's name for the agent. These are running ratings: each match moves them by its own
result, in the order in which matches come. ``statistics/ratings.py`` fits ratings with errors to all games instead.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi.keisei.shared_file import (
    LOCK_SECONDS,
    exclusive,
    read_json_object,
    replace_json_object,
)

INITIAL_RATING: Final = 1500.0
K_FACTOR: Final = 32.0
ELO_SCALE: Final = 400.0
"""Elo points that make the odds ten to one."""

COUNTED: Final = "hantei_counted_matches"
"""Key beside ``ratings``: digests of the matches that moved them. Keisei, when it writes the file, drops it."""
MATCHES_KEPT: Final = 2000


@dataclass
class EloRegistry:
    """The ratings of one file. ``registry_at`` hands it out for changes, ``read_registry`` to look something up."""

    path: Path
    ratings: dict[str, float] = field(default_factory=dict)
    """Elo rating by id."""
    initial_rating: float = INITIAL_RATING
    k_factor: float = K_FACTOR
    unknown: dict[str, Any] = field(default_factory=dict)
    """What else the file holds: it is written back as it was."""

    def rating(self, player: str) -> float:
        """The player's rating, or the initial one of a player that has not played."""
        return self.ratings.get(player, self.initial_rating)

    def add(self, player: str) -> float:
        """Enter a player at the initial rating, unless it is there; return its rating."""
        return self.ratings.setdefault(player, self.initial_rating)

    def record_match(self, player: str, opponent: str, *, score: float, games: int) -> tuple[float, float]:
        """Move both ratings by one match, and return them.

        Keisei's rule: R += K * (score - games * expected), all games in one step with the expectation from before the
        match, so 20 wins over an equal move 320 points. ``score`` is the player's, in games: 1 a win, 0.5 a draw.

        Raises:
            ValueError: ``score`` is not between 0 and ``games``, or a player meets itself.

        """
        if player == opponent:
            raise ValueError(f"{player!r} can't play a rated match against itself")
        if games < 0 or not 0 <= score <= games:
            raise ValueError(f"score {score:g} must lie between 0 and games ({games})")
        before, against = self.add(player), self.add(opponent)
        change = self.k_factor * (score - games * expected_score(before, against))
        self.ratings[player], self.ratings[opponent] = before + change, against - change
        return self.ratings[player], self.ratings[opponent]

    def count_once(self, match: str) -> bool:
        """Whether the match of that digest is new; from now on it isn't. The last ``MATCHES_KEPT`` are known."""
        counted = [str(each) for each in self.unknown.get(COUNTED, ())]
        if match in counted:
            return False
        self.unknown[COUNTED] = [*counted, match][-MATCHES_KEPT:]
        return True

    def top(self, limit: int) -> list[tuple[str, float]]:
        """The best players and their ratings, the best first."""
        return sorted(self.ratings.items(), key=lambda item: item[1], reverse=True)[:limit]

    def to_body(self) -> dict[str, Any]:
        """The file's content."""
        metadata = {"initial_rating": self.initial_rating, "k_factor": self.k_factor}
        return self.unknown | {
            "ratings": self.ratings,
            "metadata": dict(self.unknown.get("metadata", {})) | metadata,
        }


def expected_score(rating: float, opponent_rating: float) -> float:
    """The expected score of one game: 1 / (1 + 10 ** ((opponent_rating - rating) / 400)).

    Source: A. Elo, The Rating of Chessplayers, 1978, in the logistic form.
    """
    # At a thousand decades the odds are beyond a float, and the expectation is 0 or 1 anyway.
    decades = max(-300.0, min(300.0, (opponent_rating - rating) / ELO_SCALE))
    return 1.0 / (1.0 + math.pow(10.0, decades))


def read_registry(path: Path, *, initial_rating: float = INITIAL_RATING, k_factor: float = K_FACTOR) -> EloRegistry:
    """The ratings as they are now, without a lock; without a file, an empty registry with the given settings.

    Raises:
        EvaluationError: the file can't be read, or is no registry.

    """
    body = read_json_object(path)
    if body is None:
        return EloRegistry(path, initial_rating=initial_rating, k_factor=k_factor)
    metadata = _mapping(path, "metadata", body.get("metadata", {}))
    return EloRegistry(
        path,
        ratings={
            player: _number(path, f"ratings[{player!r}]", rating)
            for player, rating in _mapping(path, "ratings", body.get("ratings", {})).items()
        },
        initial_rating=_number(path, "metadata.initial_rating", metadata.get("initial_rating", initial_rating)),
        k_factor=_number(path, "metadata.k_factor", metadata.get("k_factor", k_factor)),
        unknown=body,
    )


@contextmanager
def registry_at(
    path: Path,
    *,
    timeout_seconds: float = LOCK_SECONDS,
    initial_rating: float = INITIAL_RATING,
    k_factor: float = K_FACTOR,
) -> Iterator[EloRegistry]:
    """Change the ratings: lock, read, hand out, and write when the block ends without an exception.

    No other writer's change is lost, and a reader (Keisei too) sees the file as it was before or after. Hold it for the
    few milliseconds of an update, never while games are played. ``initial_rating`` and ``k_factor`` are for a new file;
    an existing file's own settings count.

    Raises:
        EvaluationError: the lock was not free within ``timeout_seconds``; the file is broken; it can't be written.

    """
    with exclusive(path, timeout_seconds=timeout_seconds):
        registry = read_registry(path, initial_rating=initial_rating, k_factor=k_factor)
        yield registry
        replace_json_object(path, registry.to_body())


def _mapping(path: Path, name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{path}: {name} is {value!r}, which must be an object: mend the file, or move it away to start a new one.",
        )
    return value


def _number(path: Path, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{path}: {name} is {value!r}, which must be a finite number: mend the file, or move it away to start a new one.",
        )
    return float(value)
