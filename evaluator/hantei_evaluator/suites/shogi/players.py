"""Who moves: each player picks a move for many games at once."""

import random
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from hantei_api.base import Precision
from hantei_api.shogi import ActionPerspective
from hantei_evaluator.suites.shogi import boards
from hantei_evaluator.suites.shogi.actions import DROPPED, PROMOTES, SOURCE, TARGET, policy_table
from hantei_evaluator.suites.shogi.network import ResTower
from hantei_evaluator.suites.shogi.planes import core46


class Turn(Protocol):
    """What a player sees of a game."""

    @property
    def sfen(self) -> str:
        """The position."""

    @property
    def legal(self) -> list[int]:
        """The legal moves by their OpenSpiel ids, never empty."""

    @property
    def plies(self) -> int:
        """Plies since the game began."""

    @property
    def max_moves(self) -> int:
        """The game's limit of plies."""

    @property
    def rng(self) -> random.Random:
        """The game's own random stream."""


class Player(Protocol):
    """Picks moves."""

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


class NetworkPlayer:
    """The legal move with the highest logit."""

    def __init__(
        self, network: ResTower, *, perspective: ActionPerspective, precision: Precision = Precision.FP32
    ) -> None:
        self._network = network
        self._device = network.stem.weight.device
        self._table = policy_table(perspective)
        self._precision = precision

    def choose(self, turns: Sequence[Turn]) -> list[int]:
        """One move for each turn, by one forward pass over all of them."""
        positions = boards.parse([turn.sfen for turn in turns])
        planes = core46(positions, [turn.plies for turn in turns], [turn.max_moves for turn in turns])
        # Only the legal moves' indices go to the device, padded to the longest list, instead of a mask over 13,527.
        counts = np.array([len(turn.legal) for turn in turns])
        present = np.arange(counts.max()) < counts[:, None]
        indices = np.zeros(present.shape, dtype=np.int64)
        actions = np.concatenate([turn.legal for turn in turns])
        indices[present] = self._table[np.repeat(positions.white.astype(np.int64), counts), actions]
        with torch.inference_mode():
            logits, _ = self._network(torch.from_numpy(planes).to(self._device))
            legal_logits = logits.gather(1, torch.from_numpy(indices).to(self._device))
            legal_logits.masked_fill_(torch.from_numpy(~present).to(self._device), -torch.inf)
            best = legal_logits.argmax(1).tolist()
        return [turn.legal[place] for turn, place in zip(turns, best, strict=True)]
