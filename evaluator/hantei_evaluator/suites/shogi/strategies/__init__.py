"""How games are arranged: one module for each of Keisei's strategies."""

from collections.abc import Sequence

from hantei_api.shogi import ShogiStrategy, ShogiSuite
from hantei_evaluator.suites.shogi.cases import Cases
from hantei_evaluator.suites.shogi.contestants import Contestant
from hantei_evaluator.suites.shogi.keisei.elo_registry import EloRegistry
from hantei_evaluator.suites.shogi.strategies.benchmark import Benchmark
from hantei_evaluator.suites.shogi.strategies.custom import Custom
from hantei_evaluator.suites.shogi.strategies.ladder import LadderStrategy
from hantei_evaluator.suites.shogi.strategies.protocol import Evaluated, Strategy
from hantei_evaluator.suites.shogi.strategies.single_opponent import SingleOpponent
from hantei_evaluator.suites.shogi.strategies.tournament import Tournament

__all__ = ["Evaluated", "Strategy", "strategy_of"]


def strategy_of(
    spec: ShogiSuite, everyone: Sequence[Contestant], *, known: EloRegistry, cases: Cases | None
) -> Strategy:
    """The spec's strategy for these players, the agent first; ``cases`` are for benchmark.

    Raises ``EvaluationError`` when it can't be played.
    """
    match spec.strategy:
        case ShogiStrategy.SINGLE_OPPONENT:
            return SingleOpponent(spec, everyone[1].name)
        case ShogiStrategy.TOURNAMENT:
            return Tournament(spec)
        case ShogiStrategy.LADDER:
            return LadderStrategy(spec, known, {each.name: each.rated_as for each in everyone})
        case ShogiStrategy.CUSTOM:
            return Custom(spec)
        case ShogiStrategy.BENCHMARK:
            if cases is None:
                raise ValueError("a benchmark has cases")
            return Benchmark(spec, cases, everyone[1])
