"""single_opponent: all games against one opponent, or as many as a sequential test needs."""

import logging
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import numpy as np

from hantei_api.metrics import Metric
from hantei_api.reasons import Reason
from hantei_api.shogi import AGENT_NAME, ShogiSuite, Sprt
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.statistics.sprt import SequentialTest, SprtDecision, SprtState
from hantei_evaluator.suites.shogi.arena import Arena, Played
from hantei_evaluator.suites.shogi.games import Game
from hantei_evaluator.suites.shogi.schedule import games_of
from hantei_evaluator.suites.shogi.scores import agent_fields, agent_metrics
from hantei_evaluator.suites.shogi.strategies.protocol import Evaluated

DECISIONS: Final = {SprtDecision.ACCEPT_H1: 1.0, SprtDecision.ACCEPT_H0: -1.0, SprtDecision.INCONCLUSIVE: 0.0}
"""The metric ``sprt_decision``."""

logger = logging.getLogger(__name__)


class SingleOpponent:
    """See ``strategies.protocol.Strategy``."""

    def __init__(self, spec: ShogiSuite, opponent: str) -> None:
        if spec.sprt is not None and spec.games_of_pairing < 2:
            raise EvaluationError(
                Reason.INVALID_TASK,
                f"suite.shogi.numGames is {spec.games_of_pairing}, but sprt counts whole pairs of games: make it at least 2.",
            )
        self._opponent = opponent

    def fields(self, game: Played) -> dict[str, Any]:
        """Outcome, score, rates and length."""
        return agent_fields(game)

    def evaluate(self, arena: Arena) -> Evaluated:
        """Play numGames games, or with ``sprt`` at most so many."""
        if arena.spec.sprt is not None:
            return self._test(arena, arena.spec.sprt)
        arena.total = arena.spec.games_of_pairing
        played = list(arena.play(self._games(arena, arena.total)))
        return Evaluated(agent_metrics(played, elo=True), [played], complete=len(played) == arena.total)

    def _games(self, arena: Arena, num_games: int) -> Iterator[Game]:
        return games_of(AGENT_NAME, self._opponent, num_games, arena.openings)

    def _test(self, arena: Arena, sprt: Sprt) -> Evaluated:
        """Pairs count in their order, not as they end: short games are not a fair sample of all."""
        test = SequentialTest(elo0=sprt.elo0, elo1=sprt.elo1, alpha=sprt.alpha, beta=sprt.beta)
        arena.total = arena.spec.games_of_pairing // 2 * 2
        counts = np.zeros(5, dtype=np.int64)
        played: list[Played] = []
        state = test.state(counts)
        with closing(arena.play_in_order(self._games(arena, arena.total))) as playing:
            for pair in playing:
                played += pair
                counts[round(2 * sum(game.score_of(AGENT_NAME) for game in pair))] += 1
                state = test.state(counts, ended=len(played) == arena.total)
                if state.decision is not SprtDecision.RUNNING:
                    break
        if stopped := state.decision is SprtDecision.RUNNING:
            state = test.state(counts, ended=True)
        logger.info(
            "SPRT: %s after %d games: log-likelihood ratio %.3f, bounds %.3f and %.3f, elo0 %g, elo1 %g",
            state.decision.value,
            len(played),
            state.log_likelihood_ratio,
            state.lower,
            state.upper,
            sprt.elo0,
            sprt.elo1,
        )
        if not stopped:
            arena.total = len(played)
        return Evaluated(
            [*agent_metrics(played, elo=True), *_test_metrics(state, len(played))], [played], complete=not stopped
        )


def _test_metrics(state: SprtState, n: int) -> list[Metric]:
    if n == 0:
        return []
    return [
        Metric(name="sprt_decision", value=DECISIONS[state.decision], n=n),
        Metric(name="sprt_llr", value=state.log_likelihood_ratio, n=n),
    ]
