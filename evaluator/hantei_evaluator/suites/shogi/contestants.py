"""Who plays: the evaluated checkpoint and its opponents, each network read once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from hantei_api.base import Precision
from hantei_api.shogi import AGENT_NAME, ActionPerspective, Opponent, OpponentType, ShogiSuite
from hantei_evaluator.run.inputs import sha256_of
from hantei_evaluator.suites.shogi.agreement import choose_precision
from hantei_evaluator.suites.shogi.network import ResTower, load_network
from hantei_evaluator.suites.shogi.players import HeuristicPlayer, NetworkPlayer, Player, RandomPlayer

ONLY_OPPONENT: Final = "opponent"
"""Name of an only opponent whose own would be the agent's."""


@dataclass(frozen=True)
class Contestant:
    """One who plays."""

    name: str
    """In samples and metrics."""
    player: Player
    type: OpponentType
    checkpoint: Path | None
    perspective: ActionPerspective

    @property
    def rated_as(self) -> str:
        """Its id in Keisei's ratings: a checkpoint's file name, or the type."""
        return self.type.value if self.checkpoint is None else self.checkpoint.name

    def describe(self) -> dict[str, str]:
        """What its moves depend on; reads the checkpoint once more for its digest."""
        if self.checkpoint is None:
            return {"type": self.type.value}
        return {
            "type": self.type.value,
            "sha256": sha256_of(self.checkpoint),
            "actionPerspective": self.perspective.value,
        }


class Contestants:
    """The agent and the opponents of a spec, in the spec's order.

    Raises ``EvaluationError`` for a checkpoint that can't be read or is no policy network.
    """

    def __init__(self, spec: ShogiSuite, checkpoint: Path, inputs: Path, device: torch.device) -> None:
        self._networks: dict[Path, ResTower] = {}
        self._players: dict[tuple[OpponentType, Path | None, ActionPerspective], Player] = {}
        self._inputs = inputs
        self._device = device
        self._precision = spec.precision
        self.agent: Final = self._contestant(AGENT_NAME, OpponentType.CHECKPOINT, checkpoint, spec.action_perspective)
        self.opponents: Final = [self._opponent(name, opponent) for name, opponent in opponents_of(spec).items()]

    @property
    def everyone(self) -> list[Contestant]:
        """The agent first."""
        return [self.agent, *self.opponents]

    @property
    def precision(self) -> Precision:
        """What the agent's forward passes compute in."""
        player = self.agent.player
        return player.precision if isinstance(player, NetworkPlayer) else Precision.FP32

    def _opponent(self, name: str, opponent: Opponent) -> Contestant:
        checkpoint = None if opponent.checkpoint is None else self._inputs / opponent.checkpoint
        return self._contestant(name, opponent.type, checkpoint, opponent.action_perspective)

    def _contestant(
        self, name: str, kind: OpponentType, checkpoint: Path | None, perspective: ActionPerspective
    ) -> Contestant:
        # The same file under two names, or against itself, is one network and one player: one forward pass a ply.
        key = (kind, None if checkpoint is None else checkpoint.resolve(), perspective)
        if key not in self._players:
            self._players[key] = self._player(kind, checkpoint, perspective)
        return Contestant(name, self._players[key], kind, checkpoint, perspective)

    def _player(self, kind: OpponentType, checkpoint: Path | None, perspective: ActionPerspective) -> Player:
        if checkpoint is None:
            return RandomPlayer() if kind is OpponentType.RANDOM else HeuristicPlayer()
        place = checkpoint.resolve()
        if place not in self._networks:
            self._networks[place] = load_network(checkpoint, self._device)
        network = self._networks[place]
        choice = choose_precision(network, self._precision, perspective)
        return NetworkPlayer(network, perspective=perspective, precision=choice.precision)


def opponents_of(spec: ShogiSuite) -> dict[str, Opponent]:
    """The spec's opponents by name; an only opponent has its type's or its checkpoint's name."""
    if spec.opponents is not None:
        return {opponent.name: opponent for opponent in spec.opponents}
    opponent = spec.opponent or Opponent()
    name = opponent.type.value if opponent.checkpoint is None else Path(opponent.checkpoint).name
    return {ONLY_OPPONENT if name == AGENT_NAME else name: opponent}
