"""Keisei's observation ``core46``: 46 planes of 9 x 9, seen by the player to move."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hantei_evaluator.suites.shogi.boards import PIECES, PROMOTED_CODES, Boards

PLANES: Final = 46

# Own pieces 0-7, own promoted 8-13, the opponent's 14-21 and 22-27, hands 28-34 and 35-41.
_OPPONENT = 14
_HANDS = 28
_BLACK_TO_MOVE = 42
_MOVE_COUNT = 43

_HAND_LIMITS = np.array([18, 4, 4, 4, 4, 2, 2])
"""Most pieces of a kind that a hand can hold: a hand's plane is its count over this."""


def _planes_by_code() -> NDArray[np.int64]:
    """Plane of a square's code [colour to move, code], -1 for empty."""
    planes = np.full((2, 256), -1)
    for index, piece in enumerate(PIECES + PROMOTED_CODES):
        for colour, (own, other) in enumerate([(piece, piece.lower()), (piece.lower(), piece)]):
            planes[colour, ord(own)] = index
            planes[colour, ord(other)] = _OPPONENT + index
    return planes


_PLANES_BY_CODE = _planes_by_code()


def core46(boards: Boards, move_count: ArrayLike, max_moves: ArrayLike) -> NDArray[np.float32]:
    """Encode positions as float32 [n, 46, 9, 9].

    Row = rank a..i, column = 9 - file; for White the board is turned round. ``move_count`` and ``max_moves`` are [n]
    or scalars: plies since the game began, and the game's limit of plies. Planes 44 and 45 stay zero.
    """
    n = len(boards.white)
    colour = boards.white.astype(np.int64)
    squares = np.where(boards.white[:, None], boards.squares[:, ::-1], boards.squares)
    plane = _PLANES_BY_CODE[colour[:, None], squares]
    game, square = np.nonzero(plane >= 0)
    planes = np.zeros((n, PLANES, 81), dtype=np.float32)
    planes[game, plane[game, square], square] = 1.0
    own_first = np.where(boards.white[:, None, None], boards.hands[:, ::-1], boards.hands) / _HAND_LIMITS
    planes[:, _HANDS : _HANDS + 14] = own_first.reshape(n, 14, 1)
    planes[:, _BLACK_TO_MOVE] = ~boards.white[:, None]
    planes[:, _MOVE_COUNT] = np.broadcast_to(np.asarray(move_count) / np.asarray(max_moves), n)[:, None]
    return planes.reshape(n, PLANES, 9, 9)
