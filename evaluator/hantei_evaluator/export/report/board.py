"""The last position of the game that went worst, as a board."""

from collections.abc import Sequence

from hantei_evaluator.export.report.evaluations import Evaluation, Record
from hantei_evaluator.export.report.markup import Markup, element, table

_RANKS = "abcdefghi"
_SHOWN_MOVES = 200


def worst_game(evaluation: Evaluation) -> Markup:
    """The agent's quickest loss on a board, with its moves; nothing where no game of Shogi was lost."""
    if evaluation.result.suite != "shogi":
        return Markup()
    lost = [each for each in evaluation.samples.values() if each.get("outcome") == "loss" and each.get("moves")]
    if not lost:
        return Markup()
    game = min(lost, key=lambda each: (len(each["moves"]), str(each["sampleId"])))
    moves = [str(move) for move in game["moves"]]
    try:
        board, white, black = last_position(game, moves)
    except ValueError as error:
        return element("p", f"The moves of {game['sampleId']} can't be replayed: {error}.", class_="warning")
    rows = [
        (
            element("th", _RANKS[row], scope="row"),
            *(_cell(board[row][column], last=f"{9 - column}{_RANKS[row]}" == moves[-1][2:4]) for column in range(9)),
        )
        for row in range(9)
    ]
    return element(
        "section",
        element("h2", f"The quickest loss: {game['sampleId']}"),
        element("p", f"{len(moves)} plies, {game.get('termination', '')}. White in hand: {white}.", class_="note"),
        table(("", *(str(9 - column) for column in range(9))), rows, class_="board"),
        element("p", f"Black in hand: {black}. White's pieces are coloured; + is promoted.", class_="note"),
        element("p", element("code", " ".join(moves[-_SHOWN_MOVES:])), class_="note"),
    )


def last_position(game: Record, moves: Sequence[str]) -> tuple[list[list[str]], str, str]:
    """Squares [rank a to i][file 9 to 1] after the moves, pieces as in SFEN, and White's and Black's hand in words.

    Raises ValueError when a move is not legal where it stands.
    """
    from hantei_evaluator.suites.shogi import boards, rules  # noqa: PLC0415  # only for games of Shogi
    from hantei_evaluator.suites.shogi.actions import usi  # noqa: PLC0415

    sfen = game.get("sfen")
    state = rules.new_state(rules.check_sfen(str(sfen)) if sfen else None)
    for number, move in enumerate(moves, start=1):
        action = next((each for each in state.legal_actions() if usi(each) == move), None)
        if action is None:
            raise ValueError(f"move {number}, {move}, is not legal")
        state.apply_action(action)
    position = boards.parse([str(state)])
    names = {ord("."): ""} | {ord(piece): piece for piece in boards.PIECES + boards.PIECES.lower()}
    for promoted, code in zip(boards.PROMOTED, boards.PROMOTED_CODES, strict=True):
        names |= {ord(code): f"+{promoted}", ord(code.lower()): f"+{promoted.lower()}"}
    squares = [[names[int(code)] for code in row] for row in position.squares[0].reshape(9, 9)]
    black, white = (
        " ".join(f"{count} {piece}" for piece, count in zip(boards.PIECES, hand, strict=False) if count) or "nothing"
        for hand in position.hands[0].tolist()
    )
    return squares, white, black


def _cell(piece: str, *, last: bool) -> Markup:
    kinds = (["white"] if piece and piece[-1].islower() else []) + (["last"] if last else [])
    return element("td", piece.upper(), class_=" ".join(kinds) or None)
