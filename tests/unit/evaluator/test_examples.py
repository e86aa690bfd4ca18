"""The digits example as a person runs it: train, evaluate, read the result."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hantei_api.result import EvaluationResult
from hantei_api.spec import EvaluationRunSpec

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.timeout(60)
def test_the_digits_example_is_evaluated_on_a_laptop(tmp_path: Path) -> None:
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    train = [sys.executable, EXAMPLES / "digits" / "train.py", tmp_path]
    subprocess.run(train, check=True, capture_output=True, env=one_thread)
    flags = ["--checkpoint", "checkpoint.pt", "--suite", "classification", "--output-dir", "out"]
    flags += ["--model", str(EXAMPLES / "digits" / "model.py:build"), "--data", "digits.npz"]
    ended = subprocess.run(
        [sys.executable, "-m", "hantei_cli.main", "evaluate", *flags],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    result = EvaluationResult.model_validate_json((tmp_path / "out" / "result.json").read_text())
    assert result.complete
    assert result.metrics[0].name == "accuracy"
    assert result.metrics[0].value > 0.9
    assert len((tmp_path / "out" / "samples.jsonl").read_text().splitlines()) == result.metrics[0].n


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_example_is_a_valid_run(path: Path) -> None:
    documents = [each for each in yaml.safe_load_all(path.read_text()) if each["kind"] == "EvaluationRun"]
    assert documents
    for document in documents:
        EvaluationRunSpec.model_validate(document["spec"])
