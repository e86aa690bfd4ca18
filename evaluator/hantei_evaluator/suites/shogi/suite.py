"""The shogi suite: games of a checkpoint against others, or positions that it is put before."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch

from hantei_api.reasons import Reason
from hantei_api.shogi import ShogiStrategy
from hantei_api.shogi import ShogiSuite as ShogiSpec
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.protocol import Context, Outcome
from hantei_evaluator.suites.shogi import rules
from hantei_evaluator.suites.shogi.arena import Arena
from hantei_evaluator.suites.shogi.cases import SHIPPED, Cases, read_cases
from hantei_evaluator.suites.shogi.contestants import Contestants
from hantei_evaluator.suites.shogi.elo_file import known_ratings, move_ratings, registry_path
from hantei_evaluator.suites.shogi.openings import Openings
from hantei_evaluator.suites.shogi.strategies import Strategy, strategy_of

if TYPE_CHECKING:
    from pathlib import Path


class ShogiSuite:
    """Plays ``suite.shogi`` of a task; see ``hantei_evaluator.suites.protocol.Suite``."""

    reports_progress: ClassVar[bool] = True

    def __init__(self) -> None:
        self._contestants: Contestants | None = None
        self._strategy: Strategy | None = None
        self._openings: Openings | None = None
        self._cases: Cases | None = None
        self._registry: Path | None = None

    def load(self, context: Context) -> None:
        """Read the checkpoints of all who play, and refuse what can't be played."""
        spec = _spec(context)
        self._openings = _openings(spec, context.task.seed)
        self._registry = registry_path(context.task, spec)
        known = known_ratings(self._registry if spec.strategy is ShogiStrategy.LADDER else None, spec)
        if spec.strategy is ShogiStrategy.BENCHMARK:
            own = None if spec.benchmark is None else spec.benchmark.cases
            self._cases = read_cases(SHIPPED if own is None else context.inputs / own)
        contestants = Contestants(spec, context.checkpoint, context.inputs, context.device)
        self._contestants = contestants
        self._strategy = strategy_of(spec, contestants.everyone, known=known, cases=self._cases)

    def identity(self, context: Context) -> Mapping[str, str] | None:
        """Rules, openings, opponents and settings: what a game comes out as, whatever the strategy."""
        spec = _spec(context)
        if self._contestants is None or self._openings is None:
            raise RuntimeError("load() comes before identity()")
        opponents = {each.name: each.describe() for each in self._contestants.opponents}
        found = {
            "rules": f"open_spiel {rules.engine_version()}",
            "openings": self._openings.digest,
            "maxMoves": str(spec.max_moves),
            "agent.actionPerspective": spec.action_perspective.value,
            "agent.precision": self._contestants.precision.value,
            "opponents": json.dumps(opponents, sort_keys=True),
        }
        return found if self._cases is None else found | {"cases": f"sha256 {self._cases.digest}"}

    def evaluate(self, context: Context) -> Outcome:
        """Play all games, or those that end before the stop."""
        spec = _spec(context)
        contestants, strategy = self._contestants, self._strategy
        if contestants is None or strategy is None or self._openings is None:
            raise RuntimeError("load() comes before evaluate()")
        players = {each.name: each.player for each in contestants.everyone}
        evaluated = strategy.evaluate(Arena(context, spec, players, self._openings, strategy.fields))
        if self._registry is not None and evaluated.complete:
            move_ratings(self._registry, spec, contestants.everyone, evaluated.rated)
        return Outcome(
            metrics=evaluated.metrics,
            complete=evaluated.complete,
            versions={"open_spiel": rules.engine_version(), "torch": torch.__version__},
            precision=contestants.precision.value,
        )


def _spec(context: Context) -> ShogiSpec:
    spec = context.task.suite.shogi
    if spec is None:
        raise EvaluationError(Reason.INVALID_TASK, "suite.shogi is not set: name it, or start the suite that is.")
    return spec


def _openings(spec: ShogiSpec, seed: int) -> Openings:
    openings = Openings(spec.opening_source, random_plies=spec.plies_of_opening, seed=seed)
    if spec.strategy is not ShogiStrategy.BENCHMARK and spec.max_moves <= openings.most_plies:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"suite.shogi.maxMoves is {spec.max_moves} plies, which must be more than the {openings.most_plies} plies of an "
            "opening: raise maxMoves, or set openings: random with fewer openingPlies.",
        )
    return openings
