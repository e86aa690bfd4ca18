"""The rules of Shogi: OpenSpiel's engine, and what it leaves to its caller."""

import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import pyspiel

from hantei_evaluator.suites.shogi import boards
from hantei_evaluator.suites.shogi.actions import DROPPED, DROPPED_PIECES, SOURCE, TARGET

START_SFEN: Final = "lnsgkgsnl/1r5b1/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL b - 1"
PIECES_IN_ALL: Final = {"P": 18, "L": 4, "N": 4, "S": 4, "G": 4, "B": 2, "R": 2, "K": 2}

BLACK: Final = 0
WHITE: Final = 1

State = Any
"""``pyspiel.ShogiState``: the binding has no types."""


class Termination(StrEnum):
    """Why a game ended."""

    CHECKMATE = "checkmate"
    NO_MOVES = "no_moves"
    """Not in check and no legal move: a loss in Shogi."""
    PERPETUAL_CHECK = "perpetual_check"
    ENTERING_KING = "entering_king"
    """The king is in the enemy camp with at least 28 points."""
    REPETITION = "repetition"
    BOTH_KINGS_ENTERED = "both_kings_entered"
    MAX_MOVES = "max_moves"


@dataclass(frozen=True)
class End:
    """How a game ended: 1, 0 or -1 from Black's view, and why."""

    black: int
    termination: Termination


@cache
def _game() -> Any:
    return pyspiel.load_game("shogi")


def new_state(sfen: str | None = None) -> State:
    """A game at its start, or at a position that ``check_sfen`` passed."""
    return _game().new_initial_state() if sfen is None else _game().new_initial_state(sfen)


def engine_version() -> str:
    """Version of OpenSpiel."""
    return version("open-spiel")


def end_of(state: State) -> End:
    """How a terminal state ended."""
    black = int(state.returns()[BLACK])
    if state.is_repetition_end():
        return End(black, Termination.PERPETUAL_CHECK if black else Termination.REPETITION)
    if not black:
        return End(black, Termination.BOTH_KINGS_ENTERED)
    if state.board().has_legal_moves(False):  # noqa: FBT003  # skip_drops, positional in the binding
        return End(black, Termination.ENTERING_KING)
    return End(black, Termination.CHECKMATE if state.in_check() else Termination.NO_MOVES)


def check_sfen(text: str) -> str:
    """Normalise an SFEN with or without a move number; OpenSpiel ends the process on some malformed ones.

    Raises
    ------
    ValueError
        Saying which part is wrong: the position is not one that a game could stand at.
    """
    fields = text.split()
    if len(fields) not in (3, 4):
        raise ValueError(f"needs 'board side hands [move number]', has {len(fields)} parts")
    board, side, hands = fields[:3]
    number = fields[3] if len(fields) == 4 else "1"
    if side not in ("b", "w"):
        raise ValueError(f"side to move is {side!r}; b or w")
    if not re.fullmatch(r"[1-9][0-9]{0,5}", number):
        raise ValueError(f"move number is {number!r}; 1 to 999999")
    pieces = _check_board(board)
    if not re.fullmatch(r"-|(?:(?:[2-9]|1[0-8])?[PLNSGBRplnsgbr])+", hands):
        raise ValueError(f"hands are {hands!r}; '-' or pieces with counts such as R2b3p")
    for count, piece in re.findall(r"(\d*)([A-Za-z])", hands):
        pieces[piece.upper()] += int(count or 1)
    if len(set(letters := re.findall(r"[A-Za-z]", hands))) != len(letters):
        raise ValueError(f"hands are {hands!r}; each piece once, with its count")
    over = [f"{pieces[piece]} {piece}" for piece in PIECES_IN_ALL if pieces[piece] > PIECES_IN_ALL[piece]]
    if over:
        raise ValueError(f"has {', '.join(over)} on the board and in hand; at most {PIECES_IN_ALL}")
    if new_state(f"{board} {'w' if side == 'b' else 'b'} {hands} {number}").in_check():
        raise ValueError(f"the side to move ({side}) could take the king")
    return f"{board} {side} {hands} {number}"


def _check_board(board: str) -> Counter[str]:
    """Count the pieces, upper case for both colours."""
    ranks = board.split("/")
    if len(ranks) != 9:
        raise ValueError(f"board has {len(ranks)} ranks; 9")
    pieces: Counter[str] = Counter()
    for number, rank in enumerate(ranks, start=1):
        tokens = re.findall(r"\+[PLNSBRplnsbr]|[PLNSGBRKplnsgbrk]|[1-9]", rank)
        width = sum(int(token) if token.isdigit() else 1 for token in tokens)
        if "".join(tokens) != rank or width != 9:
            raise ValueError(f"rank {number} of the board is {rank!r}: pieces and gaps of 9 squares")
        pieces.update(token[-1].upper() for token in tokens if not token.isdigit())
    for king, owner in (("K", "Black"), ("k", "White")):
        if board.count(king) != 1:
            raise ValueError(f"{owner} has {board.count(king)} kings; 1")
    return pieces


def legal_actions(sfen: str) -> list[int]:
    """All moves of a position by their OpenSpiel ids, also where OpenSpiel holds the game to be over.

    Its entering-king rule ends games that other rule sets play on, and it then lists no moves. The moves are found
    in a position without the king that stays put, so that the rule can't apply; see ``_without_waiting_king``.
    """
    state = new_state(sfen)
    if not state.is_terminal():
        return list(state.legal_actions())
    if not state.board().has_legal_moves(False):  # noqa: FBT003  # skip_drops, positional in the binding
        return []
    return _without_waiting_king(sfen)


def _without_waiting_king(sfen: str) -> list[int]:
    """Legal moves with the waiting king replaced by a gold, which blocks the same lines and attacks less.

    What the king alone forbids is taken out again: own king moves next to it, and a pawn dropped for mate. The position
    is turned so that White moves: OpenSpiel takes a White without a king for entered, but never a Black.
    """
    squares = boards.parse([sfen]).squares[0]
    white = sfen.split(" ", 2)[1] == "w"
    own_king, waiting_king = (
        int(np.flatnonzero(squares == ord(letter))[0]) for letter in (("k", "K") if white else ("K", "k"))
    )
    turned = sfen if white else _turn(sfen)
    state = new_state(turned.replace("K", "G", 1))
    found = []
    for seen in state.legal_actions():
        action = seen if white else _turn_action(seen)
        source, target = int(SOURCE[action]), int(TARGET[action])
        if source == own_king and _adjacent(target, waiting_king):
            continue
        pawn_check = DROPPED[action] == DROPPED_PIECES.index("P") and target == waiting_king + (-9 if white else 9)
        if pawn_check and _mates(sfen, action):
            continue
        found.append(action)
    return found


def _adjacent(one: int, other: int) -> bool:
    return max(abs(one // 9 - other // 9), abs(one % 9 - other % 9)) == 1


def _mates(sfen: str, action: int) -> bool:
    state = new_state(sfen)
    state.apply_action(action)
    return not state.board().has_legal_moves(False)  # noqa: FBT003  # skip_drops, positional in the binding


def _turn(sfen: str) -> str:
    """The same position with colours and sides of the board swapped."""
    board, side, hands, number = sfen.split(" ")
    tokens = re.findall(r"\+?[A-Za-z]|[1-9]|/", board.swapcase())
    return f"{''.join(reversed(tokens))} {'w' if side == 'b' else 'b'} {hands.swapcase()} {number}"


def _turn_action(action: int) -> int:
    if DROPPED[action] >= 0:
        # Drops start at a multiple of 81, so that the remainder is the square.
        return action + 80 - 2 * (action % 81)
    squares, promotes = divmod(action, 2)
    source, target = divmod(squares, 81)
    return ((80 - source) * 81 + 80 - target) * 2 + promotes
