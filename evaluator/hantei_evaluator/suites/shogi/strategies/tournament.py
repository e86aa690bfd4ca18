"""tournament: a round robin of the checkpoint and all opponents, everybody against everybody."""

import logging
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from hantei_api.metrics import MAX_METRICS, Metric
from hantei_api.shogi import AGENT_NAME, NamedOpponent, OpponentType, ShogiSuite
from hantei_evaluator.suites.shogi.arena import Arena, Played
from hantei_evaluator.suites.shogi.schedule import games_of, interleaved
from hantei_evaluator.suites.shogi.scores import (
    agent_fields_by_opponent,
    agent_metrics,
    cross_metrics,
    cross_table,
    opponent_metrics,
    rating_metrics,
    ratings_of,
)
from hantei_evaluator.suites.shogi.strategies.protocol import Evaluated

logger = logging.getLogger(__name__)


class Tournament:
    """See ``strategies.protocol.Strategy``."""

    def __init__(self, spec: ShogiSuite) -> None:
        opponents = spec.opponents or []
        self._pairings = list(combinations([AGENT_NAME, *(opponent.name for opponent in opponents)], 2))
        self._anchors = anchors_of(opponents)

    def fields(self, game: Played) -> dict[str, Any]:
        """The same as of a single opponent, and the score against this one; nothing of games between opponents."""
        return agent_fields_by_opponent(game)

    def evaluate(self, arena: Arena) -> Evaluated:
        """Play numGames games of each pairing, all pairings advancing together."""
        each = arena.spec.games_of_pairing
        arena.total = each * len(self._pairings)
        matches = [
            games_of(one, two, each, arena.openings, pairing=pairing_of(one, two)) for one, two in self._pairings
        ]
        played = list(arena.play(interleaved(matches)))
        return Evaluated(
            standings(played, self._anchors), by_match(played, self._pairings), complete=len(played) == arena.total
        )


def pairing_of(one: str, two: str) -> str:
    """A pairing's name in sample ids: ``OPPONENT/``, or ``ONE:TWO/`` between opponents. No name holds a colon or slash."""
    return f"{two}/" if one == AGENT_NAME else f"{one}:{two}/"


def anchors_of(opponents: Sequence[NamedOpponent]) -> dict[str, float]:
    """Fixed ratings: those that the spec gives; without any, the first random player stands at 0; else none."""
    given = {opponent.name: opponent.rating for opponent in opponents if opponent.rating is not None}
    if given:
        return given
    random = [opponent.name for opponent in opponents if opponent.type is OpponentType.RANDOM]
    return {random[0]: 0.0} if random else {}


def by_match(games: Sequence[Played], pairings: Sequence[tuple[str, str]]) -> list[list[Played]]:
    """The games of each pairing that was played, in the pairings' order."""
    matches: dict[frozenset[str], list[Played]] = {frozenset(pairing): [] for pairing in pairings}
    for game in games:
        matches[frozenset((game.black, game.white))].append(game)
    return [match for match in matches.values() if match]


def standings(games: Sequence[Played], anchors: Mapping[str, float]) -> list[Metric]:
    """The agent's score and rates, everybody's rating, the agent's score against each opponent, then the others'."""
    if not games:
        return []
    logger.info("Points of games, row against column:\n%s", cross_table(games))
    ratings = ratings_of(games, anchors)
    if ratings.unrated:
        logger.info("Not rated, because no games connect them to an anchor: %s", ", ".join(ratings.unrated))
    found = [*agent_metrics(games), *rating_metrics(ratings), *opponent_metrics(games), *cross_metrics(games)]
    return found[:MAX_METRICS]
