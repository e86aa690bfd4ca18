"""Keisei's 13,527 policy indices, and how OpenSpiel's action ids map onto them.

Squares are numbered row by row from Black's upper left: ``row * 9 + column``, row 0 = rank a, column 0 = file 9.

- Keisei: a board move is ``from * 160 + (to - (to > from)) * 2 + promote``, a drop ``12960 + to * 7 + piece``.
- OpenSpiel: a board move is ``(from * 81 + to) * 2 + promote``, a drop ``13122 + piece * 81 + to``, with rows from below.

Pieces of drops are P L N S G B R = 0..6 in both.
"""

import re
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hantei_api.shogi import ActionPerspective

POLICY_SIZE: Final = 81 * 80 * 2 + 81 * 7
"""13,527: Keisei's actions."""
ENGINE_SIZE: Final = 81 * 81 * 2 + 7 * 81
"""13,689: OpenSpiel's action ids; those from a square to itself are never legal."""
NO_SQUARE: Final = -1
DROPPED_PIECES: Final = "PLNSGBR"

_BOARD_MOVES = 81 * 81 * 2


def _flip_rows(square: NDArray[np.int64]) -> NDArray[np.int64]:
    return (8 - square // 9) * 9 + square % 9


def _decode() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    action = np.arange(ENGINE_SIZE)
    drop = action >= _BOARD_MOVES
    dropped = np.where(drop, (action - _BOARD_MOVES) // 81, NO_SQUARE)
    source = np.where(drop, NO_SQUARE, _flip_rows(np.where(drop, 0, action // 2 // 81)))
    target = _flip_rows(np.where(drop, (action - _BOARD_MOVES) % 81, action // 2 % 81))
    promotes = np.where(drop, 0, action % 2)
    return source, target, promotes, dropped


SOURCE, TARGET, PROMOTES, DROPPED = _decode()
"""For each OpenSpiel action id: the squares it moves from and to, whether it promotes, and the piece it drops (or -1)."""


def _policy_index(source: NDArray[np.int64], target: NDArray[np.int64]) -> NDArray[np.int64]:
    board = source * 160 + (target - (target > source)) * 2 + PROMOTES
    return np.where(DROPPED >= 0, 12960 + target * 7 + DROPPED, np.where(source == target, -1, board))


_ABSOLUTE = _policy_index(SOURCE, TARGET)
_TURNED = _policy_index(np.where(DROPPED >= 0, SOURCE, 80 - SOURCE), 80 - TARGET)


def policy_table(perspective: ActionPerspective) -> NDArray[np.int64]:
    """Policy index [colour to move, OpenSpiel action id]; colour 0 is Black. -1 where no move is.

    ``relative`` turns the board round (``80 - square``) for White's moves; ``absolute`` never does.
    """
    return np.stack([_ABSOLUTE, _TURNED if perspective is ActionPerspective.RELATIVE else _ABSOLUTE])


@cache
def usi(action: int) -> str:
    """An OpenSpiel action id in USI notation: ``7g7f``, ``2b3a+``, ``P*5e``."""
    target = _square_name(int(TARGET[action]))
    if DROPPED[action] >= 0:
        return f"{DROPPED_PIECES[DROPPED[action]]}*{target}"
    return f"{_square_name(int(SOURCE[action]))}{target}{'+' if PROMOTES[action] else ''}"


def parse_usi(move: str) -> int:
    """The OpenSpiel action id of a move in USI notation; whether the move is legal is for the rules to say.

    Raises ValueError for anything but a move.
    """
    found = re.fullmatch(r"(?:([PLNSGBR])\*|([1-9][a-i]))([1-9][a-i])(\+?)", move)
    if found is None or (found[1] and found[4]):
        raise ValueError(f"{move!r} is no move in USI notation, such as 7g7f, 2b3a+ or P*5e")
    target = _engine_square(found[3])
    if found[1]:
        return _BOARD_MOVES + DROPPED_PIECES.index(found[1]) * 81 + target
    return (_engine_square(found[2]) * 81 + target) * 2 + (found[4] == "+")


def _engine_square(name: str) -> int:
    """OpenSpiel's number of a square: its rows are counted from below."""
    return (8 - "abcdefghi".index(name[1])) * 9 + 9 - int(name[0])


def _square_name(square: int) -> str:
    return f"{9 - square % 9}{'abcdefghi'[square // 9]}"
