"""benchmark: positions with known answers, and positions to win."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from hantei_api.metrics import MAX_METRICS, Metric
from hantei_api.reasons import Reason
from hantei_api.shogi import AGENT_NAME, OpponentType, ShogiSuite
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.statistics.games import paired_score
from hantei_evaluator.suites.shogi.actions import parse_usi, usi
from hantei_evaluator.suites.shogi.arena import Arena, Played, in_order
from hantei_evaluator.suites.shogi.cases import Case, Cases
from hantei_evaluator.suites.shogi.contestants import Contestant
from hantei_evaluator.suites.shogi.games import Game, Opening
from hantei_evaluator.suites.shogi.scores import agent_fields, metric_name
from hantei_evaluator.suites.shogi.strategies.protocol import Evaluated

FAILED_IN_LOG: Final = 20

logger = logging.getLogger(__name__)


class Benchmark:
    """See ``strategies.protocol.Strategy``."""

    def __init__(self, spec: ShogiSuite, cases: Cases, opponent: Contestant) -> None:
        self._cases = {_sample_id(case): case for case in cases.cases}
        self._opponent = opponent.name
        self._games_each = 1 if spec.benchmark is None else spec.benchmark.games_per_case
        played_out = any(case.moves is None for case in cases.cases)
        if played_out and self._games_each > 1 and opponent.type is OpponentType.CHECKPOINT:
            raise EvaluationError(
                Reason.INVALID_TASK,
                f"suite.shogi.benchmark.gamesPerCase is {self._games_each}, but two networks always play the same game from a "
                "position: make it 1, or choose opponent random or heuristic.",
            )
        late = [case for case in cases.cases if case.plies >= spec.max_moves]
        if late:
            raise EvaluationError(
                Reason.INVALID_TASK,
                f"suite.shogi.maxMoves is {spec.max_moves} plies, but the case {late[0].name} begins after {late[0].plies}: "
                "raise maxMoves, or give its sfen a lower move number.",
            )

    def fields(self, game: Played) -> dict[str, Any]:
        """Whether the case was passed: by an accepted move, or by a win."""
        case = self._cases[game.pair]
        passed = self._passed(game)
        values = {"pass_rate": float(passed)}
        if case.moves is None:
            return agent_fields(game) | {"case": case.name, "passed": passed, "values": values}
        return {
            "case": case.name,
            "passed": passed,
            "outcome": "pass" if passed else "fail",
            "termination": None,
            "accepted": sorted(usi(move) for move in case.moves),
            "values": values,
        }

    def evaluate(self, arena: Arena) -> Evaluated:
        """Ask for a move in each case that accepts some, and play the others out."""
        games = list(self._games())
        arena.total = len(games)
        played = in_order(list(arena.play(iter(games))))
        failed = sorted({self._cases[game.pair].name for game in played if not self._passed(game)})
        if failed:
            shown = ", ".join(failed[:FAILED_IN_LOG]) + (" ..." if len(failed) > FAILED_IN_LOG else "")
            logger.info("%d of %d cases failed: %s", len(failed), len(self._cases), shown)
        return Evaluated(self._metrics(played), complete=len(played) == len(games))

    def _games(self) -> Iterator[Game]:
        for name, case in self._cases.items():
            players = (AGENT_NAME, self._opponent) if case.black_to_move else (self._opponent, AGENT_NAME)
            opening = Opening(sfen=case.sfen)
            if case.moves is not None:
                yield Game(name, name, *players, opening, most_plies=1)
            else:
                for number in range(self._games_each):
                    yield Game(f"{name}/game-{number:04d}", name, *players, opening)

    def _passed(self, game: Played) -> bool:
        moves = self._cases[game.pair].moves
        return game.score_of(AGENT_NAME) == 1 if moves is None else parse_usi(game.first_move) in moves

    def _metrics(self, games: Sequence[Played]) -> list[Metric]:
        """Over all, over the cases of each kind where there are both, and of each case that is played out."""
        kinds = {
            name: [game for game in games if (self._cases[game.pair].moves is None) is played_out]
            for name, played_out in (("pass_rate/asked", False), ("pass_rate/played_out", True))
        }
        parts = {"pass_rate": games} | (kinds if all(kinds.values()) else {})
        for game in kinds["pass_rate/played_out"]:
            name = metric_name("pass_rate/case", self._cases[game.pair].name)
            parts[name] = [*parts.get(name, ()), game]
        return [self._pass_rate(name, part) for name, part in parts.items() if part][:MAX_METRICS]

    def _pass_rate(self, name: str, games: Sequence[Played]) -> Metric:
        passed = np.array([float(self._passed(game)) for game in games])
        # Games from one position depend on one another, unless the metric is of that position alone.
        cases = np.unique([game.pair for game in games], return_inverse=True)[1]
        value, stderr = paired_score(passed, cases if cases.any() else np.arange(len(games)))
        return Metric(name=name, value=value, stderr=stderr, n=len(games))


def _sample_id(case: Case) -> str:
    return f"case/{case.name}"
