"""Elo ratings fitted to all games at once, with their errors."""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hantei_evaluator.statistics.quantiles import two_sided

PRIOR_DEVIATION: Final = 1000.0
"""Standard deviation, in Elo points, of what is believed of a rating before any game: 20 wins out of 20 against an equal prior
mean come out near +850 instead of at infinity, and 100 games that are not all won move by a few points."""

_ELO: Final = 400 / math.log(10)
"""Elo points of one unit of log-odds."""


@dataclass(frozen=True)
class RatedGame:
    """One game; every way round counts the same."""

    player: str
    opponent: str
    score: float
    """The player's: 1 won, 0.5 drawn, 0 lost."""
    pair: Hashable = None
    """Games of these two players with the same label depend on one another; None: on no other."""


@dataclass(frozen=True)
class Rating:
    """One player's strength."""

    rating: float
    """Elo points."""
    stderr: float
    """0 for an anchor."""
    games: int
    score: float | None
    """Mean score over these games; None without a game."""

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Normal interval of the rating."""
        half = two_sided(confidence) * self.stderr
        return self.rating - half, self.rating + half


@dataclass(frozen=True)
class Ratings:
    """The fit."""

    players: dict[str, Rating]
    """Strongest first."""
    unrated: tuple[str, ...]
    """Players that no chain of games connects to the others: games say nothing about how strong they are beside them."""


def fit_ratings(
    games: Iterable[RatedGame],
    anchors: Mapping[str, float] | None = None,
    *,
    mean: float = 0.0,
    prior_deviation: float = PRIOR_DEVIATION,
) -> Ratings:
    """Maximum a posteriori ratings of the Bradley-Terry model.

    R. A. Bradley and M. E. Terry, "Rank Analysis of Incomplete Block Designs", Biometrika 39 (1952), 324-345, on Elo's scale: a
    difference d scores 1 / (1 + 10^(-d/400)) on average. A draw is half a win: that keeps a rating difference equal to
    ``games.elo_difference`` of the mean score whatever the share of draws, which the models with a parameter for draws
    (Rao-Kupper, Davidson) do not. Each rating has a normal prior, round the mean of the anchors, so that a player who won
    everything stays finite. Errors are H⁻¹ (S + P) H⁻¹ with the Hessian H, the prior's precision P and the spread S of the
    scores over pairs (H. White, "Maximum Likelihood Estimation of Misspecified Models", Econometrica 50 (1982), 1-25; the
    factor K / (K - k) for k ratings from K pairs): draws and paired openings narrow them as they should. Two players all
    whose pairs came out alike show no spread; the model's own p(1 - p) a game then stands in.

    ``anchors`` fix ratings. Without them the mean of all rated players is ``mean``. Players without a chain of games to an
    anchor (without anchors: to the largest group) are ``unrated``. Raises ValueError for a score outside [0, 1] or a player
    who plays itself.
    """
    known = dict(anchors or {})
    matches = _matches(games)
    rated = _connected(matches, known)
    everyone = sorted({name for pair in matches for name in pair} | set(known))
    unrated = tuple(name for name in everyone if name not in rated)
    names = sorted(rated)
    if not names:
        return Ratings({}, unrated)
    matches = {pair: match for pair, match in matches.items() if pair[0] in rated}
    free = np.array([name not in known for name in names])
    centre = sum(known.values()) / len(known) if known else 0.0
    theta = np.array([(known.get(name, centre) - centre) / _ELO for name in names])
    fit = _Fit(names, matches, free, (_ELO / prior_deviation) ** 2)
    theta = fit.maximise(theta)
    covariance = fit.covariance(theta)
    if not known:
        # Only differences are known: the mean is a choice, and its error is none of theirs.
        theta -= theta.mean()
        centring = np.eye(len(names)) - 1 / len(names)
        covariance = centring @ covariance @ centring
        centre = mean
    played, scored = _records(matches)
    found = {
        name: Rating(
            rating=known.get(name, centre + _ELO * float(theta[i])),
            stderr=_ELO * math.sqrt(max(float(covariance[i, i]), 0.0)),
            games=played[name],
            score=scored[name] / played[name] if played[name] else None,
        )
        for i, name in enumerate(names)
    }
    return Ratings(dict(sorted(found.items(), key=lambda item: -item[1].rating)), unrated)


@dataclass
class _Match:
    """All games of two players, from the side of the first by name."""

    games: int = 0
    score: float = 0.0
    pairs: dict[Hashable, tuple[int, float]] = field(default_factory=dict)
    """Games and score by pair."""


def _matches(games: Iterable[RatedGame]) -> dict[tuple[str, str], _Match]:
    matches: dict[tuple[str, str], _Match] = defaultdict(_Match)
    for number, game in enumerate(games):
        if not 0 <= game.score <= 1:
            raise ValueError(f"a game scores 0 to 1, not {game.score:g} ({game.player} against {game.opponent})")
        if game.player == game.opponent:
            raise ValueError(f"{game.player} played itself, which says nothing about its strength: leave the game out")
        swapped = game.player > game.opponent
        key = (game.opponent, game.player) if swapped else (game.player, game.opponent)
        score = 1 - game.score if swapped else game.score
        match = matches[key]
        match.games += 1
        match.score += score
        # A game of its own has a label that no caller can give.
        label = (_Match, number) if game.pair is None else game.pair
        count, total = match.pairs.get(label, (0, 0.0))
        match.pairs[label] = (count + 1, total + score)
    return dict(matches)


def _connected(matches: Mapping[tuple[str, str], _Match], anchors: Mapping[str, float]) -> set[str]:
    neighbours: dict[str, set[str]] = defaultdict(set)
    for first, second in matches:
        neighbours[first].add(second)
        neighbours[second].add(first)

    def group_of(starts: Iterable[str]) -> set[str]:
        group: set[str] = set()
        ahead = list(starts)
        while ahead:
            name = ahead.pop()
            if name not in group:
                group.add(name)
                ahead.extend(neighbours.get(name, ()))
        return group

    if anchors:
        return group_of(anchors)
    groups = [group_of([name]) for name in sorted(neighbours)]
    return max(groups, key=len, default=set())


def _records(matches: Mapping[tuple[str, str], _Match]) -> tuple[dict[str, int], dict[str, float]]:
    played: dict[str, int] = defaultdict(int)
    scored: dict[str, float] = defaultdict(float)
    for (first, second), match in matches.items():
        played[first] += match.games
        played[second] += match.games
        scored[first] += match.score
        scored[second] += match.games - match.score
    return played, scored


class _Fit:
    """The posterior of log-odds ratings, relative to the prior's mean."""

    def __init__(
        self, names: Sequence[str], matches: Mapping[tuple[str, str], _Match], free: NDArray[np.bool_], prior: float
    ) -> None:
        place = {name: i for i, name in enumerate(names)}
        self._first = np.array([place[first] for first, _ in matches], dtype=np.intp)
        self._second = np.array([place[second] for _, second in matches], dtype=np.intp)
        self._games = np.array([match.games for match in matches.values()], dtype=np.float64)
        self._score = np.array([match.score for match in matches.values()])
        self._pairs = [np.array(list(match.pairs.values())) for match in matches.values()]
        self._free = free
        self._prior = prior

    def maximise(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Newton's method; the logarithm of the posterior is concave."""
        free = self._free
        for _ in range(200):
            expected = self._expected(theta)
            slope = self._scatter(self._score - self._games * expected) - self._prior * theta
            step = np.zeros_like(theta)
            step[free] = np.linalg.solve(self._curvature(expected)[np.ix_(free, free)], slope[free])
            # Far from the maximum the curvature is tiny and a full step would overshoot.
            theta = theta + step / max(1.0, float(np.abs(step).max(initial=0.0)))
            if np.abs(step).max(initial=0.0) < 1e-10:
                return theta
        raise ArithmeticError("the ratings did not converge in 200 steps")

    def covariance(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of all ratings [n, n]; rows and columns of anchors are 0."""
        free, expected = self._free, self._expected(theta)
        clusters, ratings = sum(len(pairs) for pairs in self._pairs), int(free.sum())
        factor = clusters / (clusters - ratings) if clusters > ratings else 1.0
        spread = self._games * expected * (1 - expected)
        for i, pairs in enumerate(self._pairs):
            residuals = pairs[:, 1] - pairs[:, 0] * expected[i]
            if np.ptp(residuals) > 1e-12:
                spread[i] = factor * float(np.square(residuals).sum())
        inverse = np.linalg.inv(self._curvature(expected)[np.ix_(free, free)])
        middle = self._laplacian(spread)[np.ix_(free, free)] + self._prior * np.eye(ratings)
        covariance = np.zeros((theta.size, theta.size))
        covariance[np.ix_(free, free)] = inverse @ middle @ inverse
        return covariance

    def _expected(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        difference = theta[self._first] - theta[self._second]
        expected: NDArray[np.float64] = 0.5 * (1 + np.tanh(difference / 2))
        return expected

    def _scatter(self, of_first: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.zeros(self._free.size)
        np.add.at(total, self._first, of_first)
        np.subtract.at(total, self._second, of_first)
        return total

    def _curvature(self, expected: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._laplacian(self._games * expected * (1 - expected)) + self._prior * np.eye(self._free.size)

    def _laplacian(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        matrix = np.zeros((self._free.size, self._free.size))
        for i, j, sign in (
            (self._first, self._first, 1),
            (self._second, self._second, 1),
            (self._first, self._second, -1),
            (self._second, self._first, -1),
        ):
            np.add.at(matrix, (i, j), sign * weights)
        return matrix
