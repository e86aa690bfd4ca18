"""Positions that wait for a network, in arrays that the processes of a match share."""

import mmap
import os
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hantei_evaluator.suites.shogi.planes import CONSTANTS

MOST_LEGAL_MOVES: Final = 593
"""More legal moves than 593 are known of no position."""


@dataclass(frozen=True)
class Positions:
    """One row for each game that runs at the same time.

    Attributes
    ----------
    pieces, constants
        What the planes hold; see ``planes.Encoded``.
    legal : int16 [rows, 593]
        Policy indices of the legal moves, in the order in which the rules list them; beyond ``count`` any.
    count : int16 [rows]
        Number of legal moves.
    """

    pieces: NDArray[np.uint8]
    constants: NDArray[np.float32]
    legal: NDArray[np.int16]
    count: NDArray[np.int16]


def in_memory(rows: int) -> Positions:
    """Arrays of this process alone."""
    return _over(memoryview(bytearray(_bytes(rows))), rows)


def shared_memory(rows: int) -> int:
    """File descriptor of memory for ``shared``: it has no name, so that nothing is left whoever is killed (Linux)."""
    descriptor = os.memfd_create("hantei-positions")
    os.ftruncate(descriptor, _bytes(rows))
    return descriptor


def shared(descriptor: int, rows: int) -> Positions:
    """The arrays in memory that another process may have mapped too."""
    return _over(memoryview(mmap.mmap(descriptor, _bytes(rows))), rows)


_ROW_BYTES = CONSTANTS * 4 + MOST_LEGAL_MOVES * 2 + 2 + 81


def _bytes(rows: int) -> int:
    return rows * _ROW_BYTES


def _over(memory: memoryview, rows: int) -> Positions:
    """The widest numbers first, so that each array is aligned."""
    at = [rows * size for size in (CONSTANTS * 4, CONSTANTS * 4 + MOST_LEGAL_MOVES * 2, _ROW_BYTES - 81)]
    return Positions(
        constants=np.frombuffer(memory[: at[0]], dtype=np.float32).reshape(rows, CONSTANTS),
        legal=np.frombuffer(memory[at[0] : at[1]], dtype=np.int16).reshape(rows, MOST_LEGAL_MOVES),
        count=np.frombuffer(memory[at[1] : at[2]], dtype=np.int16),
        pieces=np.frombuffer(memory[at[2] :], dtype=np.uint8).reshape(rows, 81),
    )
