"""The shogi suite: games of a checkpoint against one opponent."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch

from hantei_api.metrics import Metric
from hantei_api.reasons import Reason
from hantei_api.shogi import AGENT_NAME, OpponentType
from hantei_api.shogi import ShogiSuite as ShogiSpec
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.statistics.games import elo_difference, paired_score
from hantei_evaluator.statistics.intervals import proportion_standard_error, standard_error
from hantei_evaluator.suites.protocol import Context, Outcome
from hantei_evaluator.suites.shogi import rules
from hantei_evaluator.suites.shogi.match import FinishedGame, Game, Opening, Settings, opening_actions, play
from hantei_evaluator.suites.shogi.network import load_network
from hantei_evaluator.suites.shogi.players import HeuristicPlayer, NetworkPlayer, Player, RandomPlayer

SLOTS: Final = 256
"""Games that are played at the same time: the most positions in a forward pass."""

OPPONENT: Final = "opponent"

ONE_THREAD_PARAMETERS: Final = 1_000_000
"""A smaller tower is computed by one thread on a CPU: a ply is a few milliseconds of work, and on a CPU that others use
too torch's threads wait for each other far longer than that (with two threads 76 plies/s were measured instead of 2,900).
"""


class ShogiSuite:
    """Plays ``suite.shogi`` of a task; see ``hantei_evaluator.suites.protocol.Suite``."""

    reports_progress: ClassVar[bool] = True

    def __init__(self) -> None:
        self._agent: Player | None = None
        self._opponent: Player | None = None

    def load(self, context: Context) -> None:
        """Read the checkpoint, and the opponent's if it has one."""
        spec = _spec(context)
        if spec.max_moves <= spec.plies_of_opening:
            raise EvaluationError(
                Reason.INVALID_TASK,
                f"suite.shogi.maxMoves is {spec.max_moves} plies, which must be more than openingPlies "
                f"({spec.plies_of_opening}): raise maxMoves or lower openingPlies.",
            )
        network = load_network(context.checkpoint, context.device)
        if context.device.type == "cpu" and network.tower_parameters < ONE_THREAD_PARAMETERS:
            torch.set_num_threads(1)
        self._agent = NetworkPlayer(network, perspective=spec.action_perspective)
        self._opponent = _opponent(context, spec)

    def evaluate(self, context: Context) -> Outcome:
        """Play all games, or those that end before the stop."""
        spec = _spec(context)
        if self._agent is None or self._opponent is None:
            raise RuntimeError("load() comes before evaluate()")
        finished: list[FinishedGame] = []

        def keep_going() -> bool:
            # Games can end minutes apart; every ply is a sign of life.
            context.recorder.progress(len(finished), spec.games_of_pairing)
            return not context.stop.requested()

        games = play(
            _games(context.task.seed, spec),
            {AGENT_NAME: self._agent, OPPONENT: self._opponent},
            Settings(seed=context.task.seed, max_moves=spec.max_moves),
            keep_going=keep_going,
            slots=SLOTS,
            pace=context.pace,
            cpus=context.cpus,
        )
        for game in games:
            finished.append(game)
            context.recorder.sample(_sample(game))
            context.recorder.progress(len(finished), spec.games_of_pairing)
        return Outcome(
            metrics=metrics(finished),
            complete=len(finished) == spec.games_of_pairing,
            versions={"open_spiel": rules.engine_version(), "torch": torch.__version__},
        )


def _spec(context: Context) -> ShogiSpec:
    spec = context.task.suite.shogi
    if spec is None:
        raise EvaluationError(Reason.INVALID_TASK, "suite.shogi is not set: name it, or start the suite that is.")
    return spec


def _games(seed: int, spec: ShogiSpec) -> Iterator[Game]:
    for number in range(spec.games_of_pairing):
        colour = "white" if number % 2 else "black"
        pair = f"pair-{number // 2:04d}"
        names = (OPPONENT, AGENT_NAME) if number % 2 else (AGENT_NAME, OPPONENT)
        opening = Opening(actions=tuple(opening_actions(seed, number // 2, spec.plies_of_opening)))
        yield Game(f"{pair}-{colour}", pair, *names, opening)


def _opponent(context: Context, spec: ShogiSpec) -> Player:
    if spec.opponent is None:
        return RandomPlayer()
    match spec.opponent.type:
        case OpponentType.RANDOM:
            return RandomPlayer()
        case OpponentType.HEURISTIC:
            return HeuristicPlayer()
        case OpponentType.CHECKPOINT:
            return NetworkPlayer(
                load_network(context.inputs / Path(spec.opponent.checkpoint or ""), context.device),
                perspective=spec.opponent.action_perspective,
            )


def _sample(game: FinishedGame) -> dict[str, object]:
    score = _score(game)
    return {
        "sampleId": game.game.sample_id,
        "pair": game.game.pair,
        "colour": "black" if game.game.black == AGENT_NAME else "white",
        "outcome": {1.0: "win", 0.5: "draw", 0.0: "loss"}[score],
        "score": score,
        "termination": game.termination.value,
        "plies": len(game.moves),
        "opening": game.opening,
        "moves": game.moves,
    }


def _score(game: FinishedGame) -> float:
    return game.black_score if game.game.black == AGENT_NAME else 1 - game.black_score


def metrics(games: Sequence[FinishedGame]) -> list[Metric]:
    """What the games say about the agent, the most important first; nothing without games."""
    n = len(games)
    if n == 0:
        return []
    # Games end in an order that depends on how they ran; sums of floats shall not.
    games = sorted(games, key=lambda game: game.game.sample_id)
    scores = np.array([_score(game) for game in games])
    score, score_error = paired_score(scores, np.unique([game.game.pair for game in games], return_inverse=True)[1])
    found = [Metric(name="score", value=score, stderr=score_error, n=n)]
    for name, result in (("win_rate", 1.0), ("loss_rate", 0.0), ("draw_rate", 0.5)):
        count = int(np.count_nonzero(scores == result))
        found.append(Metric(name=name, value=count / n, stderr=proportion_standard_error(count, n), n=n))
    elo = elo_difference(score, score_error)
    if elo is not None:
        found.append(Metric(name="elo_difference", value=elo[0], stderr=elo[1], n=n))
    plies = np.array([len(game.moves) for game in games], dtype=np.float64)
    found.append(Metric(name="average_plies", value=float(plies.mean()), stderr=standard_error(plies), n=n))
    return found
