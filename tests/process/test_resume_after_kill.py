"""SIGKILL at random points: what is there in the end is what an undisturbed evaluation leaves."""

import json
import random
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hantei_api.reasons import Reason
from support.evaluation import Ended, Evaluation
from support.waiting import eventually

KILLS = 5
"""In each of four chains of Shogi: 20 in all."""
OPPONENTS = 6
GAMES = 4 * OPPONENTS
SAMPLES = 600

MODEL = """
import torch
def build():
    return torch.nn.Linear(4, 3)
"""


def shogi(keisei: Path) -> dict[str, Any]:
    """A ladder, slowly: its matches come one after the other, so that there is always a middle to be killed in."""
    opponents = [{"name": f"random-{number}"} for number in range(OPPONENTS)]
    ladder = {"maxOpponents": OPPONENTS}
    return {
        "checkpoint": {"path": str(keisei / "checkpoint_ts20000.pth")},
        "suite": {
            "shogi": {
                "strategy": "ladder",
                "opponents": opponents,
                "ladder": ladder,
                "numGames": GAMES // OPPONENTS,
                "maxMoves": 80,
            }
        },
        "politeness": {"dutyCyclePercent": 20},
        "seed": 7,
    }


def classification(directory: Path) -> dict[str, Any]:
    code = directory / "code"
    code.mkdir()
    (code / "model.py").write_text(MODEL)
    generator = np.random.default_rng(1)
    x = generator.normal(size=(SAMPLES, 4)).astype(np.float32)
    np.savez(code / "data.npz", x=x, y=generator.integers(0, 3, SAMPLES))
    torch.manual_seed(1)
    torch.save(nn.Linear(4, 3).state_dict(), directory / "weights.pt")
    return {
        "checkpoint": {"path": str(directory / "weights.pt")},
        "suite": {"classification": {"model": "code/model.py:build", "data": "code/data.npz", "batchSize": 2}},
        "inputs": [{"name": "code", "path": str(code)}],
        "politeness": {"dutyCyclePercent": 1},
    }


def start(directory: Path, task: dict[str, Any], output: Path, attempt: int = 1) -> Evaluation:
    directory.mkdir()
    return Evaluation(directory, task | {"outputDirectory": str(output), "run": {"attempt": attempt}})


def lines(output: Path) -> int:
    path = output / "samples.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_at_random(evaluation: Evaluation, output: Path, most: int, chance: random.Random) -> int:
    """Kill it at some time, or once it has up to ``most`` samples more; returns how many were there."""
    wanted = lines(output) + chance.randint(0, most)
    if wanted == lines(output):
        _wait(evaluation, chance.uniform(0.0, 8.0))
    else:
        eventually(lambda: lines(output) >= wanted or evaluation.process.poll() is not None, timeout_seconds=60)
        _wait(evaluation, chance.uniform(0.0, 0.3))
    evaluation.process.send_signal(signal.SIGKILL)
    evaluation.process.communicate()
    return lines(output)


def _wait(evaluation: Evaluation, seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        evaluation.process.wait(seconds)


def records(output: Path) -> dict[str, dict[str, Any]]:
    """Samples by id; none is there twice."""
    found = [json.loads(line) for line in (output / "samples.jsonl").read_text().splitlines()]
    assert len({record["sampleId"] for record in found}) == len(found)
    return {record["sampleId"]: record for record in found}


def finished(evaluation: Evaluation, output: Path) -> Ended:
    ended = evaluation.wait(90)
    assert ended.summary.reason is Reason.COMPLETED, ended.stderr
    assert not list(output.glob(".*")), "a half-written file is left"
    return ended


@pytest.fixture(scope="module")
def undisturbed(keisei: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[Path, Ended]]:
    directory = tmp_path_factory.mktemp("undisturbed")
    output = directory / "output"
    ended = finished(start(directory / "run", shogi(keisei), output), output)
    return lambda: (output, ended)


@pytest.mark.parametrize("chain", range(4))
def test_games_after_five_kills_are_those_of_an_undisturbed_match(
    chain: int, keisei: Path, tmp_path: Path, undisturbed: Callable[[], tuple[Path, Ended]]
) -> None:
    """The first two chains go on in one directory, as on a laptop; the others make a new attempt beside each other."""
    chance = random.Random(chain)
    expected, whole = undisturbed()
    run = tmp_path / "ROOT" / "team" / "run"

    def output(attempt: int) -> Path:
        return run / f"attempt-{attempt if chain >= 2 else 1}"

    counts = []
    for attempt in range(1, KILLS + 1):
        number = attempt if chain >= 2 else 1
        evaluation = start(tmp_path / f"start-{attempt}", shogi(keisei), output(attempt), number)
        counts.append(kill_at_random(evaluation, output(attempt), 2, chance))
    last = KILLS + 1
    evaluation = start(tmp_path / "last", shogi(keisei), output(last), last if chain >= 2 else 1)
    ended = finished(evaluation, output(last))

    assert any(0 < count < GAMES for count in counts), f"no kill hit the middle: {counts}"
    assert records(output(last)) == records(expected)
    assert ended.summary.metrics == whole.summary.metrics
    assert ended.summary.provenance.reused_samples == max(counts)
    assert (ended.summary.samples_done, ended.summary.samples_total) == (GAMES, GAMES)


def test_classified_samples_after_five_kills_are_those_of_an_undisturbed_evaluation(tmp_path: Path) -> None:
    chance = random.Random(9)
    task = classification(tmp_path)
    expected, output = tmp_path / "expected", tmp_path / "output"
    whole = finished(start(tmp_path / "whole", task, expected), expected)

    counts = [
        kill_at_random(start(tmp_path / f"start-{number}", task, output), output, SAMPLES // KILLS, chance)
        for number in range(KILLS)
    ]
    ended = finished(start(tmp_path / "last", task, output), output)

    assert any(0 < count < SAMPLES for count in counts), f"no kill hit the middle: {counts}"
    assert records(output) == records(expected)
    assert len(records(output)) == SAMPLES
    assert ended.summary.metrics == whole.summary.metrics
    assert ended.summary.provenance.reused_samples == counts[-1]
