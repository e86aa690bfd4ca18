"""The shogi suite's flags make the task that a person means."""

import argparse
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hantei_api.shogi import ShogiSuite
from hantei_api.task import EvaluationTask
from hantei_cli import evaluate


def task(*flags: str) -> EvaluationTask:
    parser = argparse.ArgumentParser()
    evaluate.add_parser(parser.add_subparsers())
    options = ["evaluate", "--checkpoint", "new.pth", "--suite", "shogi", *flags]
    return evaluate.task_of(parser.parse_args(options, argparse.Namespace(command=[])))


def shogi(*flags: str) -> dict[str, Any]:
    suite = task(*flags).suite.shogi
    assert suite is not None
    return suite.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


def test_without_flags_the_contracts_defaults_hold() -> None:
    assert task().suite.shogi == ShogiSuite()


def test_one_opponent_with_a_sequential_test(tmp_path: Path) -> None:
    old = tmp_path / "old.pth"
    flags = [
        "--opponent-type",
        "checkpoint",
        "--opponent-checkpoint",
        str(old),
        "--sprt=-10,40",
        "--num-games",
        "400",
    ]
    assert shogi(*flags, "--sprt-alpha", "0.01", "--openings", "random", "--opening-plies", "6") == {
        "opponent": {"type": "checkpoint", "checkpoint": "opponent/old.pth"},
        "sprt": {"elo0": -10, "elo1": 40, "alpha": 0.01},
        "numGames": 400,
        "openings": "random",
        "openingPlies": 6,
    }


def test_a_tournament_names_its_opponents_their_files_and_ratings(tmp_path: Path) -> None:
    made = task(
        *("--strategy", "tournament", "--opponent", "chance=random@0", "--opponent", "greedy=heuristic"),
        *("--opponent", f"best=checkpoint:{tmp_path / 'a:b=c@home' / 'best.pth'}@-12.5"),
    )
    suite = made.suite.shogi
    assert suite is not None
    assert [(each.name, each.type.value, each.rating) for each in suite.opponents or ()] == [
        ("chance", "random", 0),
        ("greedy", "heuristic", None),
        ("best", "checkpoint", -12.5),
    ]
    assert (suite.opponents or [])[2].checkpoint == "opponent-best/best.pth"
    assert {each.name: each.path for each in made.inputs} == {"opponent-best": str(tmp_path / "a:b=c@home")}


def test_a_ladder_with_its_registry(tmp_path: Path) -> None:
    made = task(
        *("--strategy", "ladder", "--opponent", "chance=random", "--rating-range", "200", "--k-factor", "16"),
        *("--initial-rating", "1200", "--max-opponents", "2", "--elo-registry", str(tmp_path / "elo_ratings.json")),
    )
    suite = made.suite.shogi
    assert suite is not None
    assert suite.ladder is not None
    assert suite.ladder.model_dump() == {
        "initial_rating": 1200,
        "rating_range": 200,
        "max_opponents": 2,
        "k_factor": 16,
    }
    assert (made.output_root, suite.elo_registry) == (str(tmp_path), "elo_ratings.json")


def test_a_sequence_and_a_benchmark(tmp_path: Path) -> None:
    flags = ["--strategy", "custom", "--opponent", "chance=random", "--step", "chance=4", "--step", "chance=2"]
    assert shogi(*flags)["sequence"] == [{"opponent": "chance", "numGames": 4}, {"opponent": "chance", "numGames": 2}]
    flags = ["--strategy", "benchmark", "--cases", str(tmp_path / "cases.jsonl"), "--games-per-case", "3"]
    assert shogi(*flags)["benchmark"] == {"cases": "cases/cases.jsonl", "gamesPerCase": 3}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--opponent", "best"], "--opponent best: write --opponent NAME=TYPE"),
        (["--opponent", "best=ppo"], "the type is 'ppo'; it must be one of random, heuristic, checkpoint"),
        (["--step", "best"], "--step best: write --step NAME=GAMES"),
        (["--step", "best=many"], "--step best=many: write --step NAME=GAMES"),
        (["--strategy", "tournament"], "opponents is given exactly when"),
        (["--opponent", "best=random"], "opponents is given exactly when"),
        (["--strategy", "tournament", "--opponent", "agent=random"], "opponents need distinct names"),
        (["--strategy", "tournament", "--opponent", "best=checkpoint"], "checkpoint is given exactly when"),
        (["--num-games", "0"], "greater than or equal to 1"),
        (["--sprt", "50,0"], "sprt.elo0 (50) must be less than sprt.elo1 (0)"),
    ],
)
def test_flags_that_make_no_task_say_which_is_wrong(flags: list[str], message: str) -> None:
    with pytest.raises((ValueError, ValidationError)) as caught:
        task(*flags)
    assert message in str(caught.value)


def test_two_elo_differences_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        task("--sprt", "50")
    assert "write two Elo differences, for example 0,50" in capsys.readouterr().err
