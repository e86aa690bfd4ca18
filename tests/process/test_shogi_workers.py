import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext

import psutil
import pytest

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi.match import FinishedGame, Game, Opening, Settings, play
from hantei_evaluator.suites.shogi.players import HeuristicPlayer, Player, RandomPlayer
from support.waiting import eventually

ENDLESS = """
from contextlib import nullcontext
from itertools import count
from hantei_evaluator.suites.shogi.match import Game, Opening, Settings, play
from hantei_evaluator.suites.shogi.players import RandomPlayer
games = (Game(f"g{number}", "", "one", "two", Opening()) for number in count())
players = {"one": RandomPlayer(), "two": RandomPlayer()}
for game in play(games, players, Settings(1, 500), keep_going=lambda: True, slots=8, pace=nullcontext(), cpus=8):
    print(game.game.sample_id, flush=True)
"""


def endless() -> Iterator[Game]:
    number = 0
    while True:
        yield Game(f"g{number}", "", "one", "two", Opening())
        number += 1


def playing(cpus: int = 8) -> Iterator[FinishedGame]:
    players: dict[str, Player] = {"one": RandomPlayer(), "two": HeuristicPlayer()}
    return play(endless(), players, Settings(1, 40), keep_going=lambda: True, slots=8, pace=nullcontext(), cpus=cpus)


def workers(of: int) -> list[psutil.Process]:
    return [each for each in psutil.Process(of).children() if "hantei_evaluator.suites.shogi.worker" in each.cmdline()]


def mapped(process: psutil.Process) -> str:
    return next((each.path for each in process.memory_maps() if "hantei-positions" in each.path), "")


def test_processes_that_play_end_with_a_killed_parent_and_leave_no_memory_behind() -> None:
    with subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        left = workers(parent.pid)
        # Memory without a name in any directory is gone with the last process that maps it.
        eventually(lambda: [mapped(each) for each in left] == ["/memfd:hantei-positions"] * 2)
        parent.kill()
    eventually(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in left))


def test_processes_that_play_end_when_the_caller_has_enough() -> None:
    games = playing()
    next(games)
    assert len(workers(os.getpid())) == 2
    games.close()  # type: ignore[attr-defined]
    assert workers(os.getpid()) == []


def test_a_lost_process_ends_the_evaluation_instead_of_its_games() -> None:
    games = playing()
    next(games)
    workers(os.getpid())[0].send_signal(signal.SIGKILL)
    with pytest.raises(EvaluationError, match=r"A process that plays the rules ended \(exit code -9") as caught:
        list(games)
    assert caught.value.reason is Reason.EVALUATOR_ERROR
    assert workers(os.getpid()) == []


def test_any_number_of_processes_play_the_same_games() -> None:
    def first(cpus: int) -> dict[str, FinishedGame]:
        found: dict[str, FinishedGame] = {}
        for game in playing(cpus):
            found[game.game.sample_id] = game
            if all(f"g{number}" in found for number in range(30)):
                return {f"g{number}": found[f"g{number}"] for number in range(30)}
        raise AssertionError("the games ended")

    assert first(1) == first(4) == first(12)
