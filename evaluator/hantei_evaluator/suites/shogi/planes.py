"""Keisei's observation ``core46``: 46 planes of 9 x 9, seen by the player to move.

In two steps: what a position's planes hold in 145 bytes, which is what travels between processes and to a GPU, and the
planes themselves, made where the forward pass runs.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hantei_evaluator.suites.shogi.boards import PIECES, PROMOTED_CODES, Boards

if TYPE_CHECKING:
    from torch import Tensor  # seconds to import, and the processes that know the rules do without

PLANES: Final = 46

# Own pieces 0-7, own promoted 8-13, the opponent's 14-21 and 22-27, hands 28-34 and 35-41, Black to move, move count.
_OPPONENT = 14
_HANDS = 28
_EMPTY = 44
CONSTANTS: Final = 16
"""Planes 28 to 43, each the same number on all squares."""

_HAND_LIMITS = np.array([18, 4, 4, 4, 4, 2, 2])
"""Most pieces of a kind that a hand can hold: a hand's plane is its count over this."""


@dataclass(frozen=True)
class Encoded:
    """What the planes of n positions hold.

    Attributes
    ----------
    pieces : uint8 [n, 81]
        The plane that has a 1 on each square, as the player to move sees the board; 44, which stays zero, for none.
    constants : float32 [n, 16]
        The numbers of planes 28 to 43.
    """

    pieces: NDArray[np.uint8]
    constants: NDArray[np.float32]


def _planes_by_code() -> NDArray[np.uint8]:
    """Plane of a square's code [colour to move, code]."""
    planes = np.full((2, 256), _EMPTY, dtype=np.uint8)
    for index, piece in enumerate(PIECES + PROMOTED_CODES):
        for colour, (own, other) in enumerate([(piece, piece.lower()), (piece.lower(), piece)]):
            planes[colour, ord(own)] = index
            planes[colour, ord(other)] = _OPPONENT + index
    return planes


_PLANES_BY_CODE = _planes_by_code()


def encode(boards: Boards, move_count: ArrayLike, max_moves: ArrayLike) -> Encoded:
    """Encode positions; ``move_count`` and ``max_moves`` are [n] or scalars: plies since the game began, and its limit.

    Row = rank a..i, column = 9 - file; for White the board is turned round.
    """
    white = boards.white
    pieces = _PLANES_BY_CODE[white.astype(np.intp)[:, None], boards.squares]
    pieces[white] = pieces[white, ::-1]
    constants = np.empty((len(white), CONSTANTS), dtype=np.float32)
    own_first = boards.hands / _HAND_LIMITS
    own_first[white] = own_first[white, ::-1]
    constants[:, :14] = own_first.reshape(-1, 14)
    constants[:, 14] = ~white
    constants[:, 15] = np.asarray(move_count) / np.asarray(max_moves)
    return Encoded(pieces, constants)


def core46(pieces: "Tensor", constants: "Tensor") -> "Tensor":
    """The planes, float32 [n, 46, 9, 9], of ``Encoded`` as tensors, on their device. Planes 44 and 45 stay zero."""
    planes = constants.new_zeros((len(pieces), PLANES, 81))
    planes.scatter_(1, pieces.long().unsqueeze(1), 1.0)
    planes[:, _EMPTY] = 0.0
    planes[:, _HANDS : _HANDS + CONSTANTS] = constants.unsqueeze(2)
    return planes.view(-1, PLANES, 9, 9)
