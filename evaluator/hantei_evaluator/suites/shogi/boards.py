"""SFEN strings to arrays: many positions in a few string and numpy operations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

PIECES: Final = "PLNSGBRK"
"""Unpromoted pieces in the order of Keisei's planes; the first seven can be in hand."""
PROMOTED: Final = "PLNSBR"
"""Pieces that promote, in the order of Keisei's planes."""

# In a board's codes a promoted piece is one letter: that of PROMOTED_CODES at its place in PROMOTED.
PROMOTED_CODES: Final = "TUVWXY"

# str.replace, letter by letter, takes a tenth of the time of str.translate.
_SPACES = (("/", ""), *((str(run), "." * run) for run in range(1, 10)))
_PROMOTIONS = tuple(
    (f"+{case(piece)}", case(code))
    for piece, code in zip(PROMOTED, PROMOTED_CODES, strict=True)
    for case in (str.upper, str.lower)
)


@dataclass(frozen=True)
class Boards:
    """A batch of positions.

    Attributes
    ----------
    squares : uint8 [n, 81]
        ASCII codes row by row from Black's upper left: upper case Black, lower case White, ``.`` empty.
    hands : int64 [n, 2, 7]
        Pieces in Black's and White's hand, in the order of ``PIECES``.
    white : bool [n]
        Whether White is to move.
    """

    squares: NDArray[np.uint8]
    hands: NDArray[np.int64]
    white: NDArray[np.bool_]


def parse(sfens: Sequence[str]) -> Boards:
    """Read well-formed SFENs (``board side hands ...``); see ``rules.check_sfen`` for those of others."""
    boards, sides, hands = zip(*(sfen.split(" ", 3)[:3] for sfen in sfens), strict=True)
    text = "".join(boards)
    for written, meant in (*_PROMOTIONS, *_SPACES):
        text = text.replace(written, meant)
    squares = np.frombuffer(text.encode("ascii"), dtype=np.uint8).reshape(len(sfens), 81)
    return Boards(squares=squares, hands=_parse_hands(hands), white=np.array(sides) == "w")


_HAND_SLOT = np.full(256, -1)
for _index, _piece in enumerate(PIECES[:7]):
    _HAND_SLOT[ord(_piece)] = _index
    _HAND_SLOT[ord(_piece.lower())] = 7 + _index


def _parse_hands(hands: Sequence[str]) -> NDArray[np.int64]:
    """Counts [n, 2, 7]; a count of up to two digits precedes its letter (``R2b18p``), none means one."""
    text = np.frombuffer(("\n\n" + "\n".join(hands)).encode("ascii"), dtype=np.uint8)
    at = np.flatnonzero(_HAND_SLOT[text] >= 0)
    digits = np.where((text >= ord("0")) & (text <= ord("9")), text.astype(np.int64) - ord("0"), -1)
    ones, tens = digits[at - 1], digits[at - 2]
    count = np.where(ones < 0, 1, ones + 10 * np.where((ones >= 0) & (tens > 0), tens, 0))
    owner = np.cumsum(text == ord("\n"))[at] - 2
    counts = np.zeros((len(hands), 14), dtype=np.int64)
    counts[owner, _HAND_SLOT[text[at]]] = count
    return counts.reshape(-1, 2, 7)
