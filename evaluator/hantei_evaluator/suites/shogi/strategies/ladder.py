"""ladder: one match after the other, always against the weakest opponent near enough, ratings moving in between."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Any, Final

from hantei_api.metrics import MAX_METRICS, Metric
from hantei_api.reasons import Reason
from hantei_api.shogi import AGENT_NAME, Ladder, ShogiSuite
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi.arena import Arena, Played
from hantei_evaluator.suites.shogi.keisei.elo_registry import EloRegistry
from hantei_evaluator.suites.shogi.schedule import games_of
from hantei_evaluator.suites.shogi.scores import (
    agent_fields_by_opponent,
    agent_metrics,
    metric_name,
    opponent_metrics,
    rating_metrics,
    ratings_of,
)
from hantei_evaluator.suites.shogi.strategies.protocol import Evaluated

logger = logging.getLogger(__name__)


class LadderStrategy:
    """See ``strategies.protocol.Strategy``."""

    def __init__(self, spec: ShogiSuite, known: EloRegistry, ids: Mapping[str, str]) -> None:
        """Place everybody: ``known`` are the registry's ratings, by the ids that ``ids`` gives for the players' names.

        Raises InvalidTask when nobody is near enough for a first match.
        """
        self._ladder: Final = spec.ladder or Ladder()
        opponents = spec.opponents or []
        self._opponents: Final = [opponent.name for opponent in opponents]
        given = {each.name: each.rating for each in opponents if each.rating is not None}
        found = {name: known.ratings[player] for name, player in ids.items() if player in known.ratings}
        # A rating that the spec gives is the better fixed point; the registry's has moved with later matches.
        self._anchors = {name: rating for name, rating in (found | given).items() if name != AGENT_NAME}
        initial = self._ladder.initial_rating
        self._start = EloRegistry(
            known.path, dict.fromkeys(ids, initial) | given | found, initial_rating=initial, k_factor=known.k_factor
        )
        if self._next(self._start, []) is None:
            places = ", ".join(f"{name} at {self._start.rating(name):.0f}" for name in self._opponents)
            raise EvaluationError(
                Reason.INVALID_TASK,
                f"No opponent is within suite.shogi.ladder.ratingRange ({self._ladder.rating_range:g} Elo points) of the "
                f"checkpoint's {self._start.rating(AGENT_NAME):.0f}: {places}. Raise ratingRange, or name nearer opponents.",
            )

    def fields(self, game: Played) -> dict[str, Any]:
        """The same as of a single opponent, and the score against this one."""
        return agent_fields_by_opponent(game)

    def evaluate(self, arena: Arena) -> Evaluated:
        """Play match after match until maxOpponents are met or nobody who is left is near enough."""
        elo = replace(self._start, ratings=dict(self._start.ratings))
        each = arena.spec.games_of_pairing
        arena.total = each * min(self._ladder.max_opponents, len(self._opponents))
        matches: list[list[Played]] = []
        met: list[str] = []
        while (opponent := self._next(elo, met)) is not None:
            match = list(arena.play(games_of(AGENT_NAME, opponent, each, arena.openings, pairing=f"{opponent}/")))
            if match:
                matches.append(match)
            if len(match) < each:
                break
            met.append(opponent)
            # The whole match in one step, so that the order in which its games ended does not show.
            score = sum(game.score_of(AGENT_NAME) for game in match)
            before = elo.rating(AGENT_NAME)
            elo.record_match(AGENT_NAME, opponent, score=score, games=each)
            logger.info(
                "Ladder: %g of %d against %s (%.0f): Elo rating %.0f, before %.0f",
                score, each, opponent, self._start.rating(opponent), elo.rating(AGENT_NAME), before,
            )  # fmt: skip
        complete = not arena.stopped
        if complete:
            arena.total = each * len(met)
        return Evaluated(self._metrics(matches, elo, met), matches, complete=complete)

    def _next(self, elo: EloRegistry, met: list[str]) -> str | None:
        if len(met) >= self._ladder.max_opponents:
            return None
        agent = elo.rating(AGENT_NAME)
        near = [
            (elo.rating(name), name)
            for name in self._opponents
            if name not in met and abs(elo.rating(name) - agent) <= self._ladder.rating_range
        ]
        return min(near)[1] if near else None

    def _metrics(self, matches: list[list[Played]], elo: EloRegistry, met: list[str]) -> list[Metric]:
        games = list(chain.from_iterable(matches))
        if not games:
            return []
        played = {name: sum(name in (game.black, game.white) for game in games) for name in [AGENT_NAME, *met]}
        moved = [Metric(name=metric_name("elo", name), value=elo.rating(name), n=n) for name, n in played.items() if n]
        fitted = rating_metrics(ratings_of(games, self._anchors, mean=self._ladder.initial_rating))
        return [*agent_metrics(games), *fitted, *moved, *opponent_metrics(games)][:MAX_METRICS]
