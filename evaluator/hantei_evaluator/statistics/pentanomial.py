"""Pairs of games from one opening with the colours swapped: five possible scores instead of three.

An opening that favours a colour moves the two games of its pair in opposite directions, so that pairs spread less than
games do: counting pairs, not games, is both right and sharper. M. Van den Bergh, "Normalized Elo" (2020), and the
pentanomial statistics of fishtest and fastchess.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hantei_evaluator.statistics.games import elo_difference
from hantei_evaluator.statistics.quantiles import two_sided

NORMALIZED_ELO: Final = 800 / math.log(10)
"""Elo points of a mean score one standard deviation of a game above a half, by the slope of the logistic curve there."""


@dataclass(frozen=True)
class PairCounts:
    """How often pairs scored 0, 0.5, 1, 1.5 and 2."""

    counts: NDArray[np.int64]
    """[5], complete pairs only."""
    incomplete: int
    """Pairs of which one game is missing: they are left out, because half a pair carries its opening's bias."""


@dataclass(frozen=True)
class Strength:
    """What counts of scores say about the first player against the second."""

    score: float
    """Mean score of a game, 0 to 1."""
    stderr: float
    elo: float | None
    """Logistic Elo difference; None when every game was won or every game was lost."""
    elo_low: float | None
    """Lower end of its interval; None when it is not bounded."""
    elo_high: float | None
    normalized_elo: float | None
    """Score above a half in standard deviations of a game, times 800 / ln 10: comparable between openings and time controls.
    None where nothing spread."""
    likelihood_of_superiority: float
    """Chance that the first player is the stronger one, by the normal approximation under a flat prior."""
    n: int
    """Pairs (or games, for three counts)."""


def pair_counts(scores: Sequence[float], pairs: Sequence[Hashable]) -> PairCounts:
    """Counts of the pair scores of games that scored 0, 0.5 or 1 each; games of one pair share a label in ``pairs``.

    Raises ValueError when a score is none of the three or a pair has more than two games.
    """
    by_pair: dict[Hashable, list[float]] = {}
    for score, pair in zip(scores, pairs, strict=True):
        if score not in (0, 0.5, 1):
            raise ValueError(f"a game scores 0, 0.5 or 1, not {score:g} (pair {pair})")
        by_pair.setdefault(pair, []).append(score)
    if crowded := [pair for pair, games in by_pair.items() if len(games) > 2]:
        raise ValueError(f"pair {crowded[0]} has {len(by_pair[crowded[0]])} games; a pair is two games")
    complete = [round(2 * sum(games)) for games in by_pair.values() if len(games) == 2]
    counts = np.bincount(np.array(complete, dtype=np.int64), minlength=5).astype(np.int64)
    return PairCounts(counts, incomplete=len(by_pair) - len(complete))


def game_counts(scores: Sequence[float]) -> NDArray[np.int64]:
    """[3]: losses, draws and wins, for games that were not played in pairs."""
    counts = np.bincount(np.rint(2 * np.asarray(scores, dtype=np.float64)).astype(np.int64), minlength=3)
    return counts.astype(np.int64)


def strength(counts: NDArray[np.int64], confidence: float = 0.95) -> Strength:
    """Score, Elo differences and likelihood of superiority from ``counts`` [5] of pairs or [3] of games.

    The score's interval is score ± z times its error with the variance of the counts themselves (denominator n), as
    fishtest and fastchess compute it; its ends are turned into Elo. For few games, or a score near 0 or 1, rely on
    ``games.paired_score`` and its interval instead. Raises ValueError when there is nothing to count.
    """
    n = int(counts.sum())
    if n == 0:
        raise ValueError("no complete pair of games: nothing can be said about strength")
    values = np.linspace(0.0, 1.0, counts.size)
    score = float(counts @ values) / n
    variance = float(counts @ np.square(values - score)) / n
    stderr = math.sqrt(variance / n)
    half = two_sided(confidence) * stderr
    game_deviation = math.sqrt(variance * (counts.size - 1) / 2)
    above = score - 0.5
    superiority = NormalDist().cdf(above / stderr) if stderr > 0 else 0.5 + math.copysign(0.5, above) * (above != 0)
    return Strength(
        score=score,
        stderr=stderr,
        elo=_elo(score),
        elo_low=_elo(score - half),
        elo_high=_elo(score + half),
        normalized_elo=NORMALIZED_ELO * above / game_deviation if game_deviation > 0 else None,
        likelihood_of_superiority=superiority,
        n=n,
    )


def _elo(score: float) -> float | None:
    difference = elo_difference(score, None)
    return None if difference is None else difference[0]
