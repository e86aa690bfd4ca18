import re
from typing import Any

import pytest

from hantei_evaluator.suites.shogi import rules
from hantei_evaluator.suites.shogi.actions import usi
from hantei_evaluator.suites.shogi.rules import Termination, check_sfen, end_of, legal_actions, new_state

BOARD = "lnsgkgsnl/1r5b1/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL"


def perft(state: rules.State, depth: int) -> int:
    legal = state.legal_actions()
    return len(legal) if depth == 1 else sum(perft(state.child(action), depth - 1) for action in legal)


@pytest.mark.parametrize(("depth", "leaves"), [(1, 30), (2, 900), (3, 25_470)])
def test_perft_from_the_start_position(depth: int, leaves: int) -> None:
    assert perft(new_state(), depth) == leaves


def test_a_promoted_rook_of_white_survives_the_way_through_the_engine() -> None:
    # Releases before 2.0.2 printed it as Black's.
    assert str(new_state("4k4/9/9/9/4+r4/9/9/9/K8 b - 1")).startswith("4k4/9/9/9/4+r4/9/9/9/K8 ")


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        (f"{BOARD} b -", f"{BOARD} b - 1"),
        (f"  {BOARD}   w - 36 ", f"{BOARD} w - 36"),
        ("4k4/9/9/9/9/9/9/9/4K4 b 2R18P2b 7", "4k4/9/9/9/9/9/9/9/4K4 b 2R18P2b 7"),
    ],
)
def test_an_sfen_passes_with_or_without_a_move_number(text: str, normal: str) -> None:
    assert check_sfen(text) == normal


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "has 0 parts"),
        (f"{BOARD} b", "has 2 parts"),
        (f"{BOARD} x -", "side to move is 'x'"),
        (f"{BOARD} b - 0", "move number is '0'"),
        (f"{BOARD} b - one", "move number is 'one'"),
        ("9/9/9/9/9/9/9/9 b -", "board has 8 ranks"),
        (BOARD.replace("1r5b1", "1r5b2") + " b -", "rank 2 of the board is '1r5b2'"),
        (BOARD.replace("1r5b1", "1r5x1") + " b -", "rank 2 of the board is '1r5x1'"),
        (BOARD.replace("1r5b1", "1r5b+") + " b -", "rank 2 of the board is '1r5b+'"),
        (BOARD.replace("LNSGKGSNL", "LNSG+KGSNL") + " b -", "rank 9"),
        (BOARD.replace("K", "1") + " b -", "Black has 0 kings"),
        (BOARD.replace("4", "k") + " w 3K", "hands are '3K'"),
        ("4k4/9/9/9/9/9/9/9/4K4 b PP 1", "each piece once"),
        ("4k4/9/9/9/9/9/9/9/4K4 b 0P 1", "hands are '0P'"),
        (f"{BOARD} b P", "19 P"),
        ("4k4/4R4/9/9/9/9/9/9/4K4 b - 1", "could take the king"),
    ],
)
def test_a_malformed_sfen_is_refused_before_the_engine_sees_it(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        check_sfen(text)


def test_moves_found_without_the_waiting_king_are_the_legal_ones(reference: list[dict[str, Any]]) -> None:
    states = [new_state(row["sfen"]) for row in reference]
    states += [new_state("k8/9/1S7/9/9/9/9/9/8K b P 1"), new_state("k8/2G6/1S7/9/9/9/9/9/8K b P 1")]
    states += [new_state("8k/9/9/9/9/9/7s1/6g2/8K w p 1")]
    for state in states:
        assert sorted(rules._without_waiting_king(str(state))) == state.legal_actions(), str(state)


def test_a_pawn_may_not_be_dropped_for_mate_but_for_check() -> None:
    mate, check = "k8/2G6/1S7/9/9/9/9/9/8K b P 1", "k8/9/1S7/9/9/9/9/9/8K b P 1"
    assert "P*9b" not in {usi(action) for action in legal_actions(mate)}
    assert "P*9b" in {usi(action) for action in legal_actions(check)}
    assert "P*9b" not in {usi(action) for action in rules._without_waiting_king(mate)}


def test_a_position_with_both_kings_entered_still_has_its_moves() -> None:
    # Black to move, kings in each other's camps: the engine's rule ends the game here, others play on.
    sfen = "K8/9/9/9/9/9/9/9/4r3k b - 1"
    assert new_state(sfen).legal_actions() == []
    assert [usi(action) for action in legal_actions(sfen)] == ["9a8a", "9a8b", "9a9b"]


def test_a_mated_side_has_no_moves() -> None:
    assert legal_actions("4k4/4G4/4P4/9/9/9/9/9/4K4 w - 1") == []


@pytest.mark.parametrize(
    ("sfen", "black", "termination"),
    [
        ("4k4/4G4/4P4/9/9/9/9/9/4K4 w - 1", 1, Termination.CHECKMATE),
        ("k8/2G6/1G7/9/9/9/9/9/8K w - 1", 1, Termination.NO_MOVES),
        ("K8/9/9/9/9/9/9/9/4r3k b - 1", 0, Termination.BOTH_KINGS_ENTERED),
        ("4K4/9/9/9/4k4/9/9/9/9 w 2R2B8P 1", 1, Termination.ENTERING_KING),
    ],
)
def test_the_reason_why_a_game_ended(sfen: str, black: int, termination: Termination) -> None:
    state = new_state(sfen)
    assert state.is_terminal()
    assert end_of(state) == rules.End(black, termination)


def moves(sfen: str, *usi_moves: str) -> rules.State:
    state = new_state(sfen)
    for move in usi_moves:
        state.apply_action(state.parse_move_to_action(move))
    return state


def test_fourfold_repetition_is_a_draw() -> None:
    state = moves(f"{BOARD} b - 1", *("2h3h", "8b7b", "3h2h", "7b8b") * 3)
    assert end_of(state) == rules.End(0, Termination.REPETITION)


def test_perpetual_check_loses() -> None:
    state = moves("4k4/9/9/9/9/9/9/9/R7K b - 1", "9i5i", "5a4a", *("5i4i", "4a5a", "4i5i", "5a4a") * 3, "5i4i")
    assert end_of(state) == rules.End(-1, Termination.PERPETUAL_CHECK)
