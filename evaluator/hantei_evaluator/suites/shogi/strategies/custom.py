"""custom: a sequence of opponents, each with its number of games."""

from itertools import chain
from typing import Any

from hantei_api.metrics import MAX_METRICS
from hantei_api.shogi import AGENT_NAME, ShogiSuite
from hantei_evaluator.suites.shogi.arena import Arena, Played
from hantei_evaluator.suites.shogi.schedule import games_of
from hantei_evaluator.suites.shogi.scores import (
    agent_fields_by_opponent,
    agent_metrics,
    opponent_metrics,
    rating_metrics,
    ratings_of,
)
from hantei_evaluator.suites.shogi.strategies.protocol import Evaluated
from hantei_evaluator.suites.shogi.strategies.tournament import anchors_of, by_match


class Custom:
    """See ``strategies.protocol.Strategy``."""

    def __init__(self, spec: ShogiSuite) -> None:
        self._sequence = list(spec.sequence or [])
        self._anchors = anchors_of(spec.opponents or [])

    def fields(self, game: Played) -> dict[str, Any]:
        """The same as of a single opponent, and the score against this one."""
        return agent_fields_by_opponent(game)

    def evaluate(self, arena: Arena) -> Evaluated:
        """Play the steps in their order. A second step against the same opponent goes on with its pairs."""
        arena.total = sum(step.num_games for step in self._sequence)
        begun: dict[str, int] = {}
        steps = []
        for step in self._sequence:
            begin = begun.get(step.opponent, 0)
            begun[step.opponent] = begin + step.num_games
            steps.append(
                games_of(
                    AGENT_NAME,
                    step.opponent,
                    step.num_games,
                    arena.openings,
                    pairing=f"{step.opponent}/",
                    begin=begin,
                )
            )
        played = list(arena.play(chain.from_iterable(steps)))
        ratings = rating_metrics(ratings_of(played, self._anchors)) if played else []
        found = [*agent_metrics(played), *opponent_metrics(played), *ratings][:MAX_METRICS]
        matches = by_match(played, [(AGENT_NAME, name) for name in begun])
        return Evaluated(found, matches, complete=len(played) == arena.total)
