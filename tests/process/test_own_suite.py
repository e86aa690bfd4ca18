"""The tutorial docs/add-a-suite.md: its package beside the evaluator, run as a person runs it."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hantei_api.reasons import Reason
from hantei_api.result import EvaluationResult

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "suite-in-40-lines"
PAGE = ROOT / "docs" / "add-a-suite.md"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory of packages that holds the example as pip lays it out, metadata and entry points included."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    directory = tmp_path / "site"
    metadata = directory / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir(parents=True)
    shutil.copy(EXAMPLE / "regression_suite.py", directory)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = project["entry-points"]["hantei.suites"]
    lines = ["[hantei.suites]", *(f"{name} = {target}" for name, target in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return directory


def run(directory: Path, site: Path | None, *flags: str) -> tuple[int, EvaluationResult | None, str]:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(50, 3)).astype(np.float32)
    np.savez(directory / "held-out.npz", x=x, y=x @ np.array([1.0, 2.0, 3.0]) + 0.5 + generator.normal(size=50))
    save_file({"weight": torch.tensor([1.0, 2.0, 3.0]), "bias": torch.tensor(0.5)}, directory / "model.safetensors")
    command = [sys.executable, "-m", "hantei_cli.main", "evaluate", "--checkpoint", "model.safetensors"]
    ended = subprocess.run(
        [*command, "--suite", "regression", "--input", "files=.", "--output-dir", "out", *flags],
        cwd=directory,
        env=os.environ | ({"PYTHONPATH": str(site)} if site else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    file = directory / "out" / "result.json"
    result = EvaluationResult.model_validate_json(file.read_text()) if file.exists() else None
    return ended.returncode, result, ended.stderr


def test_the_tutorials_suite_measures_and_records(tmp_path: Path, site: Path) -> None:
    code, result, stderr = run(tmp_path, site, "--setting", "data=files/held-out.npz", "--setting", "tolerance=0.5")

    assert code == 0, stderr
    assert result is not None
    assert (result.suite, result.complete) == ("regression", True)
    error, within = result.metrics
    samples = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    assert len(samples) == error.n == within.n == 50
    for metric in (error, within):
        assert metric.value == pytest.approx(np.mean([sample["values"][metric.name] for sample in samples]))
        assert metric.stderr is not None
    # The noise is standard normal: its mean absolute value is sqrt(2 / pi), and 38 % of it lies within 0.5.
    assert error.value == pytest.approx(np.sqrt(2 / np.pi), abs=4 * error.stderr)
    assert within.value == pytest.approx(0.383, abs=4 * within.stderr)


def test_its_settings_are_checked_before_anything_is_measured(tmp_path: Path, site: Path) -> None:
    code, result, stderr = run(tmp_path, site, "--setting", "tolerances=1")

    assert code == 64
    assert result is not None
    assert result.reason is Reason.INVALID_TASK
    assert "suite.plugin.settings: data is missing; tolerances is unknown" in result.message, stderr


def test_a_suite_that_is_not_installed_says_which_are(tmp_path: Path) -> None:
    code, result, stderr = run(tmp_path, None)

    assert code == 64
    assert result is not None
    assert (
        "regression is not installed in this image; it has classification, command, gymnasium, shogi" in result.message
    ), stderr


def test_the_tutorial_shows_exactly_the_package() -> None:
    page = PAGE.read_text()

    code = (EXAMPLE / "regression_suite.py").read_text()
    assert len(code.splitlines()) <= 40
    assert re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL) == [code]
    shown = tomllib.loads("\n".join(re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)))
    there = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())
    assert shown["project"]["entry-points"] == there["project"]["entry-points"]
