"""The rules of Shogi once more, slow and plain, written from the rules alone: what the evaluator's engine is checked against."""

from dataclasses import dataclass

GOLD = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, 0))
STEPS = {
    "P": ((-1, 0),),
    "N": ((-2, -1), (-2, 1)),
    "S": ((-1, -1), (-1, 0), (-1, 1), (1, -1), (1, 1)),
    "G": GOLD,
    "K": tuple((r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if (r, c) != (0, 0)),
    **dict.fromkeys(("+P", "+L", "+N", "+S"), GOLD),
    "+B": ((-1, 0), (1, 0), (0, -1), (0, 1)),
    "+R": ((-1, -1), (-1, 1), (1, -1), (1, 1)),
}
"""Moves by one step, seen by Black: up is -1."""
SLIDES = {
    "L": ((-1, 0),),
    "B": ((-1, -1), (-1, 1), (1, -1), (1, 1)),
    "R": ((-1, 0), (1, 0), (0, -1), (0, 1)),
}
SLIDES |= {"+B": SLIDES["B"], "+R": SLIDES["R"]}
Square = tuple[int, int]


@dataclass
class Position:
    """Pieces by square, (row from a, column from file 9); Black's in capitals."""

    board: dict[Square, str]
    hands: dict[str, int]
    black: bool

    def after(self, move: str) -> "Position":
        """The position after a move in USI, which is taken on trust."""
        board, hands = dict(self.board), dict(self.hands)
        target = _square(move[2:4])
        if move[1] == "*":
            piece = move[0] if self.black else move[0].lower()
            hands[piece] -= 1
        else:
            piece = board.pop(_square(move[:2]))
            if move.endswith("+"):
                piece = "+" + piece
            if (taken := board.get(target)) is not None:
                caught = taken[-1].swapcase()
                hands[caught] = hands.get(caught, 0) + 1
        board[target] = piece
        return Position(board, hands, not self.black)

    def in_check(self, *, black: bool) -> bool:
        """Whether that side's king could be taken."""
        king = next(square for square, piece in self.board.items() if piece == ("K" if black else "k"))
        return any(
            king in self._reach(square, piece) for square, piece in self.board.items() if _is_black(piece) != black
        )

    def legal(self) -> set[str]:
        """All legal moves in USI."""
        own = {move for move in self._pseudo_legal() if not self.after(move).in_check(black=self.black)}
        return {move for move in own if not (move.startswith("P*") and self._mates(move))}

    def _mates(self, move: str) -> bool:
        after = self.after(move)
        if not after.in_check(black=after.black):
            return False
        # No answer by a dropped pawn matters: the check is by a piece next to the king.
        return not any(not after.after(answer).in_check(black=after.black) for answer in after._pseudo_legal())

    def _pseudo_legal(self) -> set[str]:
        found: set[str] = set()
        for square, piece in self.board.items():
            if _is_black(piece) == self.black:
                for target in self._reach(square, piece):
                    other = self.board.get(target)
                    if other is None or _is_black(other) != self.black:
                        found |= self._with_promotions(square, target, piece)
        empty = [(row, column) for row in range(9) for column in range(9) if (row, column) not in self.board]
        for held, number in self.hands.items():
            if number and held.isupper() == self.black:
                found |= {f"{held.upper()}*{_name(at)}" for at in empty if self._may_drop(held, at)}
        return found

    def _with_promotions(self, source: Square, target: Square, piece: str) -> set[str]:
        move, kind = _name(source) + _name(target), piece.upper()
        far = min(self._forward_row(source), self._forward_row(target)) <= 2
        may = far and kind in ("P", "L", "N", "S", "B", "R")
        moves = {move + "+"} if may else set()
        return moves if self._stuck(kind, target) else moves | {move}

    def _stuck(self, kind: str, target: Square) -> bool:
        return self._forward_row(target) < {"P": 1, "L": 1, "N": 2}.get(kind, 0)

    def _may_drop(self, held: str, at: Square) -> bool:
        if self._stuck(held.upper(), at):
            return False
        return held.upper() != "P" or not any(self.board.get((row, at[1])) == held for row in range(9))

    def _forward_row(self, square: Square) -> int:
        """Rows from the far edge, for who is to move."""
        return square[0] if self.black else 8 - square[0]

    def _reach(self, square: Square, piece: str) -> set[Square]:
        """Squares that the piece moves to or takes on, its own side's pieces among them."""
        sign, kind = (1 if _is_black(piece) else -1), piece.upper()
        found = {(square[0] + sign * row, square[1] + sign * column) for row, column in STEPS.get(kind, ())}
        for row, column in SLIDES.get(kind, ()):
            at = (square[0] + sign * row, square[1] + sign * column)
            while _inside(at):
                found.add(at)
                if at in self.board:
                    break
                at = (at[0] + sign * row, at[1] + sign * column)
        return {at for at in found if _inside(at)}


def position(sfen: str) -> Position:
    """Read a well-formed SFEN."""
    ranks, side, held = sfen.split(" ")[:3]
    board: dict[Square, str] = {}
    for row, rank in enumerate(ranks.split("/")):
        column, prefix = 0, ""
        for letter in rank:
            if letter == "+":
                prefix = "+"
            elif letter.isdigit():
                column += int(letter)
            else:
                board[row, column] = prefix + letter
                column, prefix = column + 1, ""
    hands: dict[str, int] = {}
    number = ""
    for letter in held.replace("-", ""):
        if letter.isdigit():
            number += letter
        else:
            hands[letter], number = int(number or 1), ""
    return Position(board, hands, side == "b")


def _is_black(piece: str) -> bool:
    return piece[-1].isupper()


def _inside(square: Square) -> bool:
    return 0 <= square[0] < 9 and 0 <= square[1] < 9


def _name(square: Square) -> str:
    return f"{9 - square[1]}{'abcdefghi'[square[0]]}"


def _square(name: str) -> Square:
    return "abcdefghi".index(name[1]), 9 - int(name[0])
