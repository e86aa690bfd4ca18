"""A real evaluation's output to Keisei's result and back, and a migrated configuration that is really evaluated."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml


def hantei(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "hantei_cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.timeout(120)
def test_an_evaluations_games_go_to_keisei_and_back_unchanged(keisei: Path, tmp_path: Path) -> None:
    output, result = tmp_path / "output", tmp_path / "keisei.json"
    hantei(
        *("evaluate", "--checkpoint", str(keisei / "checkpoint_ts20000.pth"), "--suite", "shogi"),
        *("--num-games", "6", "--max-moves", "40", "--output-dir", str(output)),
    )
    result.write_text(hantei("migrate", str(output)).stdout)
    body = json.loads(result.read_text())
    assert body["summary_stats"]["total_games"] == 6
    assert body["errors"] == []
    ours = [json.loads(line) for line in (output / "samples.jsonl").read_text().splitlines()]
    back = [json.loads(line) for line in hantei("migrate", str(result)).stdout.splitlines()]
    shared = ("sampleId", "pair", "colour", "outcome", "score", "termination", "plies", "opening", "moves")
    assert [{name: each[name] for name in shared} for each in back] == [
        {name: each[name] for name in shared} for each in ours
    ]


@pytest.mark.timeout(120)
def test_a_migrated_ladder_is_played_and_moves_keiseis_ratings(keisei: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    pool = [
        {"name": "random", "type": "random"},
        {"name": "old", "type": "ppo", "checkpoint_path": "checkpoint_ts10000.pth"},
    ]
    params = {"opponent_pool_config": pool, "num_games_per_match": 2}
    config.write_text(yaml.safe_dump({"strategy": "ladder", "max_moves_per_game": 40, "strategy_params": params}))
    spec = yaml.safe_load(hantei("migrate", str(config)).stdout)["spec"]
    ratings = tmp_path / "elo_ratings.json"
    ratings.write_text(json.dumps({"ratings": {"random": 1400.0}, "season": "spring"}))
    task = {
        "checkpoint": {"path": str(keisei / "checkpoint_ts20000.pth")},
        "inputs": [{"name": each["name"], "path": str(keisei / each["pvc"]["path"])} for each in spec["inputs"]],
        "suite": spec["suite"],
        "outputDirectory": str(tmp_path / "output"),
        "outputRoot": str(tmp_path),
    }
    (tmp_path / "task.json").write_text(json.dumps(task))
    hantei("evaluate", "--task", str(tmp_path / "task.json"), "--port", "0")
    kept = json.loads(ratings.read_text())
    assert kept["season"] == "spring"
    assert kept["metadata"] == {"initial_rating": 1500.0, "k_factor": 32.0}
    assert kept["ratings"].keys() == {"checkpoint_ts20000.pth", "random", "checkpoint_ts10000.pth"}
    # Whatever came of the games, a draw too: the expectation of unequals is no whole number of half points.
    assert kept["ratings"]["random"] != 1400
    assert sum(kept["ratings"].values()) == pytest.approx(1400 + 2 * 1500)
