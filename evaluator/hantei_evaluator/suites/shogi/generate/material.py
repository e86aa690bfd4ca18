"""What a position is worth in pieces, once the captures at hand are made."""

from typing import Any, Final

from hantei_evaluator.suites.shogi import boards
from hantei_evaluator.suites.shogi.actions import DROPPED, TARGET

PAWN: Final = 1.0
VALUES: Final = {"P": PAWN, "L": 3.0, "N": 4.0, "S": 5.0, "G": 6.0, "B": 8.0, "R": 10.0}
"""What a piece is worth, in pawns: the round numbers that Shogi programs begin with. A promoted minor piece counts as a
gold, a promoted bishop or rook two more than before."""

_PROMOTED: Final = {"P": 6.0, "L": 6.0, "N": 6.0, "S": 6.0, "B": 10.0, "R": 12.0}
_BOARD: Final = VALUES | {
    code: _PROMOTED[piece] for code, piece in zip(boards.PROMOTED_CODES, boards.PROMOTED, strict=True)
}
_HAND: Final = tuple(VALUES[piece] for piece in boards.PIECES[:7])
_MOST_CAPTURES: Final = 6


def material(state: Any) -> float:
    """Black's pieces less White's on the board and in hand, in pawns."""
    position = boards.parse([str(state)])
    board = sum(
        _BOARD.get(letter.upper(), 0.0) * (1 if letter.isupper() else -1)
        for letter in position.squares[0].tobytes().decode("ascii")
    )
    black, white = position.hands[0]
    return board + float(sum(value * (int(b) - int(w)) for value, b, w in zip(_HAND, black, white, strict=True)))


def settled_material(state: Any) -> float:
    """Material from the view of the side to move after the best captures of both sides; either may decline to capture."""
    return _quiesce(state, -float("inf"), float("inf"), _MOST_CAPTURES)


def _quiesce(state: Any, alpha: float, beta: float, depth: int) -> float:
    worth = material(state) * (1 if state.current_player() == 0 else -1)
    if worth >= beta or depth == 0:
        return worth
    best = max(alpha, worth)
    squares = boards.parse([str(state)]).squares[0]
    for action in state.legal_actions():
        if DROPPED[action] < 0 and squares[TARGET[action]] != ord("."):
            child = state.clone()
            child.apply_action(action)
            best = max(best, -_quiesce(child, -beta, -best, depth - 1))
            if best >= beta:
                break
    return best
