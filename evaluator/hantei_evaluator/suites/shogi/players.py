"""Who moves: players that pick a move by themselves, and the networks, whose moves the match computes in batches."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hantei_api.base import Precision
from hantei_api.shogi import ActionPerspective
from hantei_evaluator.suites.shogi import boards
from hantei_evaluator.suites.shogi.actions import DROPPED, PROMOTES, SOURCE, TARGET

if TYPE_CHECKING:
    from hantei_evaluator.suites.shogi.network import ResTower  # torch takes seconds to import


class Turn(Protocol):
    """What a player sees of a game."""

    @property
    def sfen(self) -> str:
        """The position."""

    @property
    def legal(self) -> list[int]:
        """The legal moves by their OpenSpiel ids, never empty."""

    @property
    def rng(self) -> random.Random:
        """The game's own random stream."""


class LocalPlayer(Protocol):
    """Picks moves where the rules are; it is pickled when they run in processes of their own."""

    def choose(self, turns: Sequence[Turn]) -> list[int]:
        """One OpenSpiel action for each turn, which are all this player's; never called without turns."""


class RandomPlayer:
    """Any legal move, all equally likely."""

    def choose(self, turns: Sequence[Turn]) -> list[int]:
        """One move for each turn."""
        return [turn.rng.choice(turn.legal) for turn in turns]


class HeuristicPlayer:
    """A random capture; without one a random pawn move that doesn't promote; without one any move."""

    def choose(self, turns: Sequence[Turn]) -> list[int]:
        """One move for each turn."""
        squares = boards.parse([turn.sfen for turn in turns]).squares
        return [self._choose(turn, board) for turn, board in zip(turns, squares, strict=True)]

    @staticmethod
    def _choose(turn: Turn, board: np.ndarray) -> int:
        legal = np.array(turn.legal)
        on_board = DROPPED[legal] < 0
        captures = legal[on_board & (board[TARGET[legal]] != ord("."))]
        if len(captures):
            return int(turn.rng.choice(captures))
        pawn = np.isin(board[SOURCE[legal]], [ord("P"), ord("p")])
        pawn_moves = legal[on_board & pawn & (PROMOTES[legal] == 0)]
        return int(turn.rng.choice(pawn_moves if len(pawn_moves) else legal))


@dataclass(frozen=True, eq=False)
class NetworkPlayer:
    """The legal move with the highest logit. Players that share a network share its forward passes."""

    network: "ResTower"
    perspective: ActionPerspective
    precision: Precision = Precision.FP32
    """What the forward pass computes in: fp32, bf16 or fp16; see ``run/precision.py``."""


Player = LocalPlayer | NetworkPlayer
