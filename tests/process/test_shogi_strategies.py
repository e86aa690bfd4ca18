"""Shogi through the real command line: every strategy, its refusals, and what the generators print."""

import json
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from hantei_evaluator.suites.shogi.cases import SHIPPED as CASES
from hantei_evaluator.suites.shogi.generate.mates import generate_mates
from hantei_evaluator.suites.shogi.openings import SHIPPED as OPENINGS

POOL = ("--opponent", "chance=random@0", "--opponent", "greedy=heuristic")


def hantei(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hantei_cli.main", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def evaluate(directory: Path, keisei: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    checkpoint = str(keisei / "checkpoint_ts20000.pth")
    own = ("--checkpoint", checkpoint, "--suite", "shogi", "--output-dir", "out", "--seed", "7")
    return hantei(directory, "evaluate", *own, *flags)


def result(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "out" / "result.json").read_text())
    return found


def samples(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "out" / "samples.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("flags", "games", "first", "metrics"),
    [
        (("--num-games", "6", "--sprt", "0,50"), 6, "score", {"sprt_decision", "sprt_llr"}),
        (("--strategy", "tournament", *POOL, "--num-games", "4"), 12, "score", {"rating/agent", "score/chance/greedy"}),
        (("--strategy", "ladder", *POOL[2:], "--num-games", "4"), 4, "score", {"rating/agent", "elo/agent"}),
        (("--strategy", "custom", *POOL, "--step", "greedy=3", "--step", "chance=2"), 5, "score", {"score/greedy"}),
        (("--strategy", "benchmark", "--max-moves", "500"), 100, "pass_rate", set()),
    ],
    ids=["single_opponent", "tournament", "ladder", "custom", "benchmark"],
)
def test_every_strategy_ends_with_its_result(
    keisei: Path, tmp_path: Path, flags: tuple[str, ...], games: int, first: str, metrics: set[str]
) -> None:
    ended = evaluate(tmp_path, keisei, "--max-moves", "60", *flags)
    assert ended.returncode == 0, ended.stderr
    found = result(tmp_path)
    assert found["complete"]
    assert found["metrics"][0]["name"] == first
    assert metrics <= {metric["name"] for metric in found["metrics"]}
    assert len({sample["sampleId"] for sample in samples(tmp_path)}) == games == found["samplesDone"]


def test_two_ladders_at_once_both_move_the_registry(keisei: Path, tmp_path: Path) -> None:
    flags = ["--strategy", "ladder", "--opponent", "greedy=heuristic", "--num-games", "8", "--max-moves", "200"]
    registry = str(tmp_path / "ratings" / "elo_ratings.json")
    places = [tmp_path / name for name in ("one", "two")]
    processes = []
    for number, place in enumerate(places):
        place.mkdir()
        (place / "pool").mkdir()
        shutil.copy(keisei / "checkpoint_ts20000.pth", place / "pool" / f"{place.name}.pth")
        own = [
            "--checkpoint",
            f"pool/{place.name}.pth",
            "--suite",
            "shogi",
            "--output-dir",
            "out",
            "--seed",
            str(number),
        ]
        command = [sys.executable, "-m", "hantei_cli.main", "evaluate", *own, *flags, "--elo-registry", registry]
        processes.append(subprocess.Popen(command, cwd=place, stderr=subprocess.DEVNULL))
    assert [process.wait(timeout=100) for process in processes] == [0, 0]
    ratings = json.loads(Path(registry).read_text())["ratings"]
    assert set(ratings) == {"one.pth", "two.pth", "heuristic"}
    # What one wins the other loses: Elo's rule keeps the sum.
    assert sum(ratings.values()) == pytest.approx(3 * 1500)


def refused(directory: Path, ended: subprocess.CompletedProcess[str], exit_code: int, *words: str) -> None:
    """A clear last line, the exit code, no metrics and no samples."""
    assert ended.returncode == exit_code, ended.stderr
    last = ended.stderr.strip().splitlines()[-1]
    assert not [word for word in words if word not in last], last
    assert "Traceback" not in ended.stderr
    output = directory / "out"
    if output.exists():
        assert not result(directory)["complete"]
        assert not result(directory).get("metrics")
        assert not (output / "samples.jsonl").exists() or not samples(directory)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--opponent-type", "ppo"), ("--opponent-type", "'ppo'", "random")),
        (("--strategy", "tournament", "--opponent", "best=ppo"), ("--opponent best=ppo", "heuristic")),
        (("--strategy", "custom", *POOL, "--step", "nobody=2"), ("sequence names nobody", "chance, greedy")),
        (("--num-games", "0"), ("num", "greater than or equal to 1")),
        (("--strategy", "custom", *POOL, "--step", "chance=0"), ("sequence.0", "greater than or equal to 1")),
        (("--strategy", "tournament"), ("opponents is given exactly when",)),
        (("--max-moves", "5"), ("maxMoves is 5 plies", "raise maxMoves")),
        (("--num-games", "1", "--sprt", "0,50"), ("numGames is 1", "at least 2")),
        (("--strategy", "ladder", "--opponent", "far=random@9000"), ("ratingRange (400", "far at 9000")),
    ],
)
def test_what_cant_be_played_is_refused_as_usage(
    keisei: Path, tmp_path: Path, flags: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refused(tmp_path, evaluate(tmp_path, keisei, *flags), 64, *words)


def test_an_opponent_in_a_task_that_is_unknown_is_refused(keisei: Path, tmp_path: Path) -> None:
    task = {
        "checkpoint": {"path": str(keisei / "checkpoint_ts20000.pth")},
        "suite": {"shogi": {"opponent": {"type": "grandmaster"}}},
        "outputDirectory": str(tmp_path / "out"),
    }
    (tmp_path / "task.json").write_text(json.dumps(task))
    ended = hantei(tmp_path, "evaluate", "--task", "task.json", "--port", "0")
    refused(tmp_path, ended, 64, "suite.shogi.opponent.type", "'random', 'heuristic' or 'checkpoint'")


def test_a_missing_opponent_and_one_that_is_no_checkpoint_are_refused(keisei: Path, tmp_path: Path) -> None:
    best = ("--opponent-type", "checkpoint", "--opponent-checkpoint", "best.pth")
    refused(tmp_path, evaluate(tmp_path, keisei, *best), 66, "best.pth", "no such file")
    (tmp_path / "best.pth").write_text("not yet")
    refused(tmp_path, evaluate(tmp_path, keisei, *best), 65, "best.pth")


def test_missing_and_bad_cases_are_refused_before_anything_is_asked(keisei: Path, tmp_path: Path) -> None:
    flags = ("--strategy", "benchmark", "--cases", "cases.jsonl")
    refused(tmp_path, evaluate(tmp_path, keisei, *flags), 66, "cases.jsonl", "no such file")
    good = CASES.read_text().splitlines()[0]
    (tmp_path / "cases.jsonl").write_text(f'{good}\n{{"name": "bad", "sfen": "9/9 b - 1"}}\n')
    refused(tmp_path, evaluate(tmp_path, keisei, *flags), 64, "cases.jsonl line 2", "board has 2 ranks")


def test_a_broken_registry_is_refused_by_a_ladder_and_stays_as_it_is(keisei: Path, tmp_path: Path) -> None:
    (tmp_path / "elo_ratings.json").write_text('{"ratings": {"a": "high"}}')
    flags = ("--strategy", "ladder", "--opponent", "greedy=heuristic", "--elo-registry", "elo_ratings.json")
    refused(tmp_path, evaluate(tmp_path, keisei, *flags), 64, "elo_ratings.json", "must be a finite number")
    assert (tmp_path / "elo_ratings.json").read_text() == '{"ratings": {"a": "high"}}'


def test_the_shipped_openings_are_what_the_generator_prints(tmp_path: Path) -> None:
    made = hantei(tmp_path, "shogi", "openings", "--seed", "1", "--count", "1")
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines() == OPENINGS.read_text().splitlines()[:1]


def test_the_shipped_cases_are_what_the_generator_makes() -> None:
    made = [json.dumps(case) for case in islice(generate_mates(seed=1, count=100), 5)]
    assert made == CASES.read_text().splitlines()[:5]
