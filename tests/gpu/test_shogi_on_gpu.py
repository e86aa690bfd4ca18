"""Not yet run: no GPU was at hand when this was written."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from hantei_api.base import Precision
from hantei_api.shogi import ActionPerspective
from hantei_evaluator.suites.shogi.agreement import choose_precision
from hantei_evaluator.suites.shogi.match import FinishedGame, Game, Opening, Settings, play
from hantei_evaluator.suites.shogi.network import load_network
from hantei_evaluator.suites.shogi.players import NetworkPlayer, Player, RandomPlayer

ROOT = Path(__file__).parents[2]
CHECKPOINT = ROOT / "tests" / "fixtures" / "keisei" / "checkpoint_ts20000.pth"

pytestmark = pytest.mark.gpu


def games(total: int) -> Iterator[Game]:
    for number in range(total):
        black, white = ("random", "agent") if number % 2 else ("agent", "random")
        yield Game(f"game-{number}", f"pair-{number // 2}", black, white, Opening())


def played(device: str, *, slots: int, cpus: int, precision: Precision = Precision.FP32) -> dict[str, FinishedGame]:
    agent = NetworkPlayer(load_network(CHECKPOINT, torch.device(device)), ActionPerspective.ABSOLUTE, precision)
    players: dict[str, Player] = {"agent": agent, "random": RandomPlayer()}
    ended = play(
        games(24), players, Settings(1, 40), keep_going=lambda: True, slots=slots, pace=nullcontext(), cpus=cpus
    )
    return {game.game.sample_id: game for game in ended}


def test_games_on_a_gpu_do_not_depend_on_slots_or_processes() -> None:
    expected = played("cuda", slots=24, cpus=1)
    assert played("cuda", slots=7, cpus=1) == expected
    assert played("cuda", slots=24, cpus=3) == expected


def test_auto_on_a_gpu_is_checked_against_fp32() -> None:
    network = load_network(CHECKPOINT, torch.device("cuda"))
    choice = choose_precision(network, Precision.AUTO, ActionPerspective.ABSOLUTE)
    assert choice.agreement is not None or "has no bf16" in choice.why


def test_play_keeps_a_large_network_at_60_percent_of_its_bare_forward() -> None:
    program = ROOT / "benchmarks" / "shogi_play.py"
    answer = subprocess.run(
        [sys.executable, str(program), "--only", "gpu", "--no-keep"], capture_output=True, check=True, text=True
    )
    assert json.loads(answer.stdout)["gpu"]["ratio"] >= 0.6
