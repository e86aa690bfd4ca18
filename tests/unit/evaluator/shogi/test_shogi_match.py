from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import pytest

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi.match import FinishedGame, Game, Opening, Settings, play
from hantei_evaluator.suites.shogi.players import Player, RandomPlayer, Turn


def games(count: int, opening: Opening | None = None) -> Iterator[Game]:
    for number in range(count):
        yield Game(f"game-{number}", f"pair-{number // 2}", "one", "other", opening or Opening())


def played(
    which: Iterator[Game], other: Player | None = None, *, seed: int = 1, max_moves: int = 30, slots: int = 4, **kw: Any
) -> dict[str, FinishedGame]:
    players = {"one": RandomPlayer(), "other": other or RandomPlayer()}
    arguments = {"keep_going": lambda: True, "pace": nullcontext(), "cpus": 1, **kw}
    found = play(which, players, Settings(seed, max_moves), slots=slots, **arguments)
    return {game.game.sample_id: game for game in found}


def test_an_error_in_a_game_is_no_draw() -> None:
    class Broken:
        def choose(self, turns: Sequence[Turn]) -> list[int]:
            raise ArithmeticError(f"broken player at {len(turns)} boards")

    with pytest.raises(ArithmeticError, match="broken player"):
        played(games(2), Broken())


def test_slots_are_refilled_until_all_games_are_played() -> None:
    assert len(played(games(9))) == 9


def test_a_game_that_is_over_before_it_begins_is_refused() -> None:
    mate = Opening(sfen="4k4/4G4/4P4/9/9/9/9/9/4K4 w - 1")
    with pytest.raises(EvaluationError, match=r"Game game-0 is over before it begins \(checkmate") as caught:
        played(games(1, mate))
    assert caught.value.reason is Reason.INVALID_TASK
