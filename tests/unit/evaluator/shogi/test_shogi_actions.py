from typing import Any

import numpy as np

from hantei_api.shogi import ActionPerspective
from hantei_evaluator.suites.shogi import rules
from hantei_evaluator.suites.shogi.actions import ENGINE_SIZE, POLICY_SIZE, policy_table, usi

ABSOLUTE = policy_table(ActionPerspective.ABSOLUTE)
RELATIVE = policy_table(ActionPerspective.RELATIVE)


def action_of(move: str) -> int:
    return next(action for action in range(ENGINE_SIZE) if usi(action) == move)


def test_every_policy_index_is_the_image_of_exactly_one_engine_action() -> None:
    for table in (ABSOLUTE, RELATIVE):
        for colour in (rules.BLACK, rules.WHITE):
            images = table[colour][table[colour] >= 0]
            assert np.array_equal(np.sort(images), np.arange(POLICY_SIZE))


def test_indices_follow_keiseis_formula() -> None:
    # 7g = row 6, column 2; 7f = row 5, column 2: to < from, so nothing is subtracted.
    assert ABSOLUTE[rules.BLACK, action_of("7g7f")] == (6 * 9 + 2) * 160 + (5 * 9 + 2) * 2
    # 2b = row 1, column 7; 3a = row 0, column 6; promoting adds one.
    assert ABSOLUTE[rules.BLACK, action_of("2b3a+")] == 16 * 160 + 6 * 2 + 1
    # to > from: the square itself is left out of the count.
    assert ABSOLUTE[rules.BLACK, action_of("9a9b")] == 0 * 160 + (9 - 1) * 2
    assert ABSOLUTE[rules.BLACK, action_of("P*5e")] == 12960 + 40 * 7 + 0
    assert ABSOLUTE[rules.BLACK, action_of("R*1i")] == 12960 + 80 * 7 + 6


def test_absolute_indices_do_not_depend_on_the_colour() -> None:
    assert np.array_equal(ABSOLUTE[rules.BLACK], ABSOLUTE[rules.WHITE])
    assert np.array_equal(RELATIVE[rules.BLACK], ABSOLUTE[rules.BLACK])


def test_relative_turns_the_board_for_white() -> None:
    for move, turned in (("3c3d", "7g7f"), ("8b7c+", "2h3g+"), ("P*5e", "P*5e"), ("B*9a", "B*1i")):
        assert RELATIVE[rules.WHITE, action_of(move)] == ABSOLUTE[rules.BLACK, action_of(turned)]


def test_usi_agrees_with_the_engines_own_notation_and_with_keisei(reference: list[dict[str, Any]]) -> None:
    for row in reference[:30]:
        state = rules.new_state(row["sfen"])
        legal = state.legal_actions()
        assert [usi(action) for action in legal] == [state.action_to_string(action) for action in legal]
        assert sorted(usi(action) for action in legal) == sorted(row["legal_usi"])
