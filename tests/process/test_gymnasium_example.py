"""The example examples/gymnasium as a person runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hantei_api.result import EvaluationResult

EXAMPLE = Path(__file__).parents[2] / "examples" / "gymnasium"

pytestmark = pytest.mark.timeout(120)


def evaluate(directory: Path, checkpoint: str) -> EvaluationResult:
    flags = ["--checkpoint", checkpoint, "--suite", "gymnasium", "--environment", "CartPole-v1", "--episodes", "20"]
    ended = subprocess.run(
        [sys.executable, "-m", "hantei_cli.main", "evaluate", *flags, "--output-dir", checkpoint.removesuffix(".pt")],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return EvaluationResult.model_validate_json((directory / checkpoint[:-3] / "result.json").read_text())


def test_a_policy_that_balances_scores_high_and_a_random_one_low(tmp_path: Path) -> None:
    subprocess.run([sys.executable, EXAMPLE / "make_policy.py", tmp_path], check=True, capture_output=True)

    balance, chance = evaluate(tmp_path, "balance.pt"), evaluate(tmp_path, "random.pt")

    # CartPole-v1 ends after 500 steps, and a random policy lets the pole fall after some 22.
    assert balance.metrics[0].name == "mean_return"
    assert balance.metrics[0].value == 500.0
    assert 10 < chance.metrics[0].value < 40
    samples = [json.loads(line) for line in (tmp_path / "random" / "samples.jsonl").read_text().splitlines()]
    assert sorted(sample["sampleId"] for sample in samples) == [f"episode-{number:05d}" for number in range(20)]
    assert chance.metrics[0].value == pytest.approx(sum(sample["return"] for sample in samples) / 20)
