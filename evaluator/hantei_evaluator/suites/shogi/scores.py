"""Metrics of games: the agent's score and rates, its score against each opponent, and fitted ratings."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from hantei_api.metrics import Metric
from hantei_api.shogi import AGENT_NAME
from hantei_evaluator.statistics.games import elo_difference, paired_score
from hantei_evaluator.statistics.intervals import proportion_standard_error, standard_error
from hantei_evaluator.statistics.pentanomial import pair_counts, strength
from hantei_evaluator.statistics.ratings import RatedGame, Ratings, fit_ratings
from hantei_evaluator.suites.shogi.arena import Played, in_order

RATES: Final = {"win_rate": 1.0, "loss_rate": 0.0, "draw_rate": 0.5}
MOST_CHARACTERS: Final = 64
"""Of a metric's name."""


def agent_fields(game: Played) -> dict[str, Any]:
    """A sample's fields from the agent's side, with the numbers of all metrics that are means over its games."""
    if not game.agents:
        return {"values": {}}
    score = game.score_of(AGENT_NAME)
    rates = {name: float(score == result) for name, result in RATES.items()}
    return {
        "colour": "black" if game.black == AGENT_NAME else "white",
        "outcome": {1.0: "win", 0.5: "draw", 0.0: "loss"}[score],
        "score": score,
        "values": {"score": score, **rates, "average_plies": float(game.plies), _score_as(game): score},
    }


def agent_fields_by_opponent(game: Played) -> dict[str, Any]:
    """The same, with the score against this opponent."""
    fields = agent_fields(game)
    if game.agents:
        fields["values"][metric_name("score", game.opponent_of(AGENT_NAME))] = game.score_of(AGENT_NAME)
    return fields


def agent_metrics(games: Sequence[Played], *, elo: bool = False) -> list[Metric]:
    """What the agent's games say, its score first; nothing without games. ``elo``: they are against one opponent."""
    games = [game for game in in_order(games) if game.agents]
    n = len(games)
    if n == 0:
        return []
    score = _score("score", games, AGENT_NAME)
    found = [score]
    scores = np.array([game.score_of(AGENT_NAME) for game in games])
    for name, result in RATES.items():
        count = int(np.count_nonzero(scores == result))
        found.append(Metric(name=name, value=count / n, stderr=proportion_standard_error(count, n), n=n))
    difference = elo_difference(score.value, score.stderr) if elo else None
    if difference is not None:
        found.append(Metric(name="elo_difference", value=difference[0], stderr=difference[1], n=n))
    pairs = pair_counts(scores.tolist(), [game.pair for game in games]) if elo else None
    if pairs is not None and pairs.counts.sum():
        superiority = strength(pairs.counts).likelihood_of_superiority
        found.append(Metric(name="likelihood_of_superiority", value=superiority, n=int(pairs.counts.sum())))
    plies = np.array([game.plies for game in games], dtype=np.float64)
    found.append(Metric(name="average_plies", value=float(plies.mean()), stderr=standard_error(plies), n=n))
    by_colour = {
        name: [game for game in games if _score_as(game) == name] for name in ("score_as_black", "score_as_white")
    }
    return [*found, *(_score(name, part, AGENT_NAME) for name, part in by_colour.items() if part)]


def opponent_metrics(games: Sequence[Played]) -> list[Metric]:
    """The agent's score against each opponent: score/NAME."""
    by_opponent: dict[str, list[Played]] = {}
    for game in in_order(games):
        if game.agents:
            by_opponent.setdefault(game.opponent_of(AGENT_NAME), []).append(game)
    return [_score(metric_name("score", name), played, AGENT_NAME) for name, played in by_opponent.items()]


def cross_metrics(games: Sequence[Played]) -> list[Metric]:
    """Scores of opponents against each other, ONE's against TWO: score/ONE/TWO."""
    matches: dict[tuple[str, str], list[Played]] = {}
    for game in in_order(games):
        if not game.agents:
            one, two = sorted((game.black, game.white))
            matches.setdefault((one, two), []).append(game)
    return [_score(metric_name("score", f"{one}/{two}"), played, one) for (one, two), played in matches.items()]


def ratings_of(games: Sequence[Played], anchors: Mapping[str, float], *, mean: float = 0.0) -> Ratings:
    """Elo ratings fitted to all games, the two games of a pair being dependent; without anchors round ``mean``."""
    rated = (RatedGame(game.black, game.white, game.black_score, game.pair) for game in in_order(games))
    return fit_ratings(rated, anchors, mean=mean)


def rating_metrics(ratings: Ratings) -> list[Metric]:
    """rating/NAME with its error, the agent's first, then the strongest first; anchors that nobody met are left out."""
    found = {name: rating for name, rating in ratings.players.items() if rating.games}
    names = sorted(found, key=lambda name: name != AGENT_NAME)
    return [
        Metric(
            name=metric_name("rating", name),
            value=found[name].rating,
            stderr=found[name].stderr,
            n=found[name].games,
        )
        for name in names
    ]


def metric_name(prefix: str, name: str) -> str:
    """``PREFIX/NAME``; a name that is too long keeps its beginning and gets a digest, so that it stays its own."""
    whole = f"{prefix}/{name}"
    if len(whole) <= MOST_CHARACTERS:
        return whole
    return f"{whole[: MOST_CHARACTERS - 9]}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def cross_table(games: Sequence[Played]) -> str:
    """Everybody's points against everybody, as text."""
    points: dict[tuple[str, str], float] = defaultdict(float)
    met: Counter[tuple[str, str]] = Counter()
    for game in games:
        for player, other in ((game.black, game.white), (game.white, game.black)):
            points[player, other] += game.score_of(player)
            met[player, other] += 1
    names = sorted({name for name, _ in met}, key=lambda name: (name != AGENT_NAME, name))
    cells = [["", *names]]
    for player in names:
        row = [f"{points[player, other]:g} of {met[player, other]}" if met[player, other] else "-" for other in names]
        cells.append([player, *row])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in cells)


def _score_as(game: Played) -> str:
    return "score_as_black" if game.black == AGENT_NAME else "score_as_white"


def _score(name: str, games: Sequence[Played], player: str) -> Metric:
    scores = np.array([game.score_of(player) for game in games])
    clusters = np.unique([game.pair for game in games], return_inverse=True)[1]
    value, stderr = paired_score(scores, clusters)
    return Metric(name=name, value=value, stderr=stderr, n=len(games))
