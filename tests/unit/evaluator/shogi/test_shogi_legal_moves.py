import random

import pytest

from hantei_evaluator.suites.shogi import rules
from hantei_evaluator.suites.shogi.actions import usi
from support.shogi_rules import position


@pytest.mark.parametrize("seed", range(6))
def test_legal_moves_are_those_of_rules_written_independently(seed: int) -> None:
    rng = random.Random(f"legal moves {seed}")
    state, compared = rules.new_state(), 0
    for _ in range(400):
        if state.is_terminal():
            break
        legal = state.legal_actions()
        if rng.random() < 0.4:
            sfen = str(state)
            assert {usi(action) for action in legal} == position(sfen).legal(), sfen
            compared += 1
        state.apply_action(rng.choice(legal))
    assert compared > 20


@pytest.mark.parametrize(
    "sfen",
    [
        "k8/2G6/1S7/9/9/9/9/9/8K b P 1",
        "k8/9/1S7/9/9/9/9/9/8K b P 1",
        "8k/9/9/9/9/9/7s1/6g2/8K w p 1",
        "4k4/4G4/4P4/9/9/9/9/9/4K4 w - 1",
        "4k4/9/9/9/4r4/9/4N4/9/4K4 b RBGSNLP 1",
    ],
)
def test_legal_moves_of_positions_with_a_catch(sfen: str) -> None:
    assert {usi(action) for action in rules.legal_actions(sfen)} == position(sfen).legal()
