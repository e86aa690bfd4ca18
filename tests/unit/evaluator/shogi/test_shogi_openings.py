import random
from pathlib import Path
from typing import Any

import pytest

from hantei_api.shogi import OpeningSource
from hantei_evaluator.suites.shogi import rules
from hantei_evaluator.suites.shogi.actions import ENGINE_SIZE, SOURCE, TARGET, parse_usi, usi
from hantei_evaluator.suites.shogi.games import Opening
from hantei_evaluator.suites.shogi.generate.material import material, settled_material
from hantei_evaluator.suites.shogi.openings import Openings, shipped_openings
from hantei_evaluator.suites.shogi.schedule import games_of, interleaved
from support.shogi import by_id, context, evaluate


def shipped(seed: int = 3) -> Openings:
    return Openings(OpeningSource.SHIPPED, random_plies=8, seed=seed)


def at_random(plies: int = 8, seed: int = 3) -> Openings:
    return Openings(OpeningSource.RANDOM, random_plies=plies, seed=seed)


def after(opening: Opening) -> Any:
    state = rules.new_state()
    for action in opening.actions:
        assert action in state.legal_actions()
        state.apply_action(action)
    return state


def test_a_move_in_usi_is_read_as_it_is_written() -> None:
    for action in range(ENGINE_SIZE):
        if SOURCE[action] != TARGET[action]:
            assert parse_usi(usi(action)) == action


@pytest.mark.parametrize("move", ["", "7g", "7g7f++", "P*5e+", "K*5e", "0g7f", "7g7j", "7g7f "])
def test_what_is_no_move_in_usi_is_refused(move: str) -> None:
    with pytest.raises(ValueError, match="no move in USI notation"):
        parse_usi(move)


def test_several_hundred_openings_are_shipped_with_distinct_positions() -> None:
    lines = shipped_openings()
    positions = {str(after(Opening(actions=tuple(map(parse_usi, line.split()))))).rsplit(" ", 1)[0] for line in lines}
    assert len(lines) == len(positions) == 400


def test_every_shipped_opening_is_even_and_nobody_is_in_check() -> None:
    for line in shipped_openings():
        state = after(Opening(actions=tuple(map(parse_usi, line.split()))))
        assert not state.is_terminal()
        assert not state.in_check()
        assert material(state) == 0
    for line in random.Random(1).sample(shipped_openings(), 40):
        assert abs(settled_material(after(Opening(actions=tuple(map(parse_usi, line.split())))))) <= 1


def test_openings_depend_on_seed_pairing_and_pair_alone() -> None:
    for make in (shipped, at_random):
        one = [make().of("", pair) for pair in range(50)]
        assert len(set(one)) == 50
        assert one[17] == make().of("", 17)
        assert one[17] != make(seed=4).of("", 17)
        assert one[17] != make().of("champion/", 17)


def test_more_pairs_than_openings_go_on_with_random_plies_behind_them() -> None:
    openings = shipped()
    count = len(shipped_openings())
    found = [openings.of("", pair) for pair in range(3 * count)]
    assert len(set(found)) == 3 * count
    assert found[count].actions[:8] == found[0].actions
    assert len(found[count].actions) == openings.most_plies == 12
    assert not after(found[2 * count + 5]).is_terminal()


def test_no_random_plies_are_the_start_position() -> None:
    assert at_random(0).of("", 5) == Opening()


def test_the_digest_tells_openings_apart() -> None:
    assert len({shipped().digest, at_random(8).digest, at_random(9).digest}) == 3
    assert shipped(seed=1).digest == shipped(seed=2).digest


def test_a_schedule_goes_on_where_it_stopped() -> None:
    whole = list(games_of("agent", "old", 9, shipped(), pairing="old/"))
    parts = [*games_of("agent", "old", 4, shipped(), pairing="old/")]
    parts += games_of("agent", "old", 5, shipped(), pairing="old/", begin=4)
    assert parts == whole
    assert [game.black for game in whole[:3]] == ["agent", "old", "agent"]
    assert whole[1].sample_id == "old/pair-0000-white"


def test_pairings_advance_together_and_lose_no_game() -> None:
    matches = [games_of("agent", name, count, at_random(1), pairing=f"{name}/") for name, count in (("a", 5), ("b", 2))]
    found = [game.sample_id for game in interleaved(matches)]
    assert found == [
        "a/pair-0000-black",
        "a/pair-0000-white",
        "b/pair-0000-black",
        "b/pair-0000-white",
        "a/pair-0001-black",
        "a/pair-0001-white",
        "a/pair-0002-black",
    ]


def test_two_networks_that_always_play_the_same_still_play_distinct_games(keisei: Path, recorded_run: Any) -> None:
    record = recorded_run()
    old = {"type": "checkpoint", "checkpoint": "keisei/checkpoint_ts10000.pth"}
    evaluate(context(keisei, record, opponent=old, numGames=200, maxMoves=18))
    games = by_id(record.samples).values()
    assert len(games) == len({tuple(game["moves"]) for game in games}) == 200
