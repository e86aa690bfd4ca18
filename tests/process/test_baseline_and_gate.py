"""A checkpoint held against another one: real evaluations of a classifier that counts its forward passes."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hantei_api.reasons import Reason, Verdict
from hantei_api.result import EvaluationResult
from support.evaluation import Ended, Evaluation
from support.waiting import eventually

SAMPLES = 200
BATCH = 20
BATCHES = SAMPLES // BATCH

MODEL = """
import os, time, torch
class Model(torch.nn.Linear):
    def forward(self, x):
        with open(os.environ["PASSES"], "a") as file:
            file.write("x\\n")
        if self.bias[0] > 50:
            time.sleep(float(os.environ.get("SLOW_SECONDS", "0")))
        return super().forward(x) - self.bias
def build():
    return Model(4, 3)
"""
"""The bias says which checkpoint is the slow one, and has no effect else."""


class Bench:
    """Data, a good and a poor checkpoint, and evaluations of them below one output."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "root"
        code = directory / "code"
        code.mkdir()
        (code / "model.py").write_text(MODEL)
        generator = np.random.default_rng(1)
        weight = generator.normal(size=(3, 4)).astype(np.float32)
        x = generator.normal(size=(SAMPLES, 4)).astype(np.float32)
        np.savez(code / "data.npz", x=x, y=(x @ weight.T).argmax(axis=1))
        self.good = self._checkpoint("good", torch.from_numpy(weight), bias=100.0)
        self.poor = self._checkpoint("poor", -torch.from_numpy(weight), bias=0.0)
        self.environment = {"PASSES": str(directory / "passes")}

    def _checkpoint(self, name: str, weight: torch.Tensor, bias: float) -> str:
        layer = nn.Linear(4, 3)
        path = self.directory / f"{name}.pt"
        torch.save({**layer.state_dict(), "weight": weight, "bias": torch.full((3,), bias)}, path)
        return str(path)

    def task(self, checkpoint: str, run: str, **more: Any) -> dict[str, Any]:
        return {
            "checkpoint": {"path": checkpoint},
            "suite": {"classification": {"model": "code/model.py:build", "data": "code/data.npz", "batchSize": BATCH}},
            "inputs": [{"name": "code", "path": str(self.directory / "code")}],
            "outputDirectory": str(self.output(run)),
            "outputRoot": str(self.root),
            **more,
        }

    def output(self, run: str) -> Path:
        return self.root / "team" / run / "attempt-1"

    def start(self, checkpoint: str, run: str, **more: Any) -> Evaluation:
        number = len(list(self.directory.glob("start-*")))
        directory = self.directory / f"start-{number}"
        directory.mkdir()
        return Evaluation(directory, self.task(checkpoint, run, **more), self.environment)

    def evaluate(self, checkpoint: str, run: str, **more: Any) -> Ended:
        return self.start(checkpoint, run, **more).wait(60)

    def passes(self) -> int:
        """Forward passes since the last look."""
        path = self.directory / "passes"
        count = len(path.read_text().splitlines()) if path.exists() else 0
        path.unlink(missing_ok=True)
        return count

    def against_good(self, **gate: Any) -> dict[str, Any]:
        return {"baseline": {"name": "checkpoint", "checkpoint": {"path": self.good}}, "gate": {"maxDrop": 0.05} | gate}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def samples(path: Path) -> list[str]:
    return sorted(path.read_text().splitlines())


def test_a_second_identical_run_computes_nothing_and_says_so(bench: Bench) -> None:
    first = bench.evaluate(bench.good, "one")
    assert (first.summary.reason, bench.passes()) == (Reason.COMPLETED, BATCHES), first.stderr
    second = bench.evaluate(bench.good, "two")
    assert (second.summary.reason, bench.passes()) == (Reason.COMPLETED, 0), second.stderr
    assert second.summary.metrics == first.summary.metrics
    assert (first.summary.provenance.reused_samples, second.summary.provenance.reused_samples) == (0, SAMPLES)
    assert second.summary.samples_done == SAMPLES
    assert samples(bench.output("two") / "samples.jsonl") == samples(bench.output("one") / "samples.jsonl")
    assert second.summary.sla is not None
    assert second.summary.timings != first.summary.timings


def test_a_checkpoint_that_lost_against_another_fails_its_gate_with_exit_code_0(bench: Bench) -> None:
    ended = bench.evaluate(bench.poor, "poor", **bench.against_good())
    assert (ended.exit_code, ended.summary.reason, ended.summary.verdict) == (0, Reason.GATE_FAILED, Verdict.REGRESSED)
    assert bench.passes() == 2 * BATCHES
    assert ended.summary.complete
    assert (ended.summary.samples_done, ended.summary.samples_total) == (SAMPLES, SAMPLES)
    comparison = ended.summary.comparison
    assert comparison is not None
    assert (comparison.metric, comparison.baseline_value, comparison.n) == ("accuracy", 1.0, SAMPLES)
    assert comparison.baseline is not None
    assert len(comparison.baseline) == 64
    assert ended.summary.message.startswith("Regressed: accuracy ")
    assert len(samples(bench.output("poor") / "baseline-samples.jsonl")) == SAMPLES
    assert ended.left_over == []


def test_a_baseline_that_was_evaluated_before_is_free_in_any_run(bench: Bench) -> None:
    bench.evaluate(bench.good, "base")
    bench.passes()
    ended = bench.evaluate(bench.poor, "poor", **bench.against_good())
    assert ended.summary.verdict is Verdict.REGRESSED, ended.stderr
    assert bench.passes() == BATCHES
    assert ended.summary.provenance.reused_samples == 0
    same = bench.evaluate(bench.good, "again", **bench.against_good())
    assert (same.summary.verdict, same.summary.reason, bench.passes()) == (Verdict.PASS, Reason.COMPLETED, 0)


def test_a_finished_run_is_a_baseline(bench: Bench) -> None:
    bench.evaluate(bench.good, "base")
    baseline = {"name": "run base", "directory": str(bench.output("base"))}
    bench.passes()
    ended = bench.evaluate(bench.poor, "poor", baseline=baseline)
    assert (ended.summary.reason, ended.summary.verdict) == (Reason.COMPLETED, Verdict.REGRESSED), ended.stderr
    assert bench.passes() == BATCHES
    assert ended.summary.comparison is not None
    assert ended.summary.comparison.baseline == "run base"


def test_a_run_of_another_seed_is_no_baseline_and_nothing_is_computed(bench: Bench) -> None:
    bench.evaluate(bench.good, "base", seed=1)
    baseline = {"name": "run base", "directory": str(bench.output("base"))}
    bench.passes()
    ended = bench.evaluate(bench.poor, "poor", baseline=baseline)
    assert (ended.exit_code, ended.summary.reason) == (64, Reason.INVALID_TASK)
    assert "run base was asked other samples, it differs in seed" in ended.summary.message
    assert bench.passes() == 0


def test_a_metric_that_cannot_decide_names_those_that_can_and_what_was_measured_is_kept(bench: Bench) -> None:
    ended = bench.evaluate(bench.poor, "poor", **bench.against_good(metric="ece"))
    assert (ended.exit_code, ended.summary.reason) == (64, Reason.INVALID_TASK)
    assert "those that can: accuracy" in ended.summary.message
    assert "accuracy" in [metric.name for metric in ended.summary.metrics]


@pytest.mark.parametrize("slow_seconds", ["0.5", "600"])
def test_a_deadline_while_the_baseline_is_evaluated_keeps_the_runs_own_metrics(bench: Bench, slow_seconds: str) -> None:
    bench.environment["SLOW_SECONDS"] = slow_seconds
    ended = bench.evaluate(bench.poor, "poor", limits={"runSeconds": 2}, **bench.against_good())
    assert (ended.exit_code, ended.summary.reason) == (0, Reason.COMPLETED), ended.stderr
    assert (ended.summary.verdict, ended.summary.complete) == (Verdict.UNDERPOWERED, True)
    assert ended.summary.metrics[0].n == SAMPLES
    assert ended.summary.timings.evaluate_seconds < 2
    assert "Underpowered: the " in ended.summary.message
    assert ended.left_over == []


def test_a_baseline_that_was_cut_short_goes_on_where_it_was(bench: Bench) -> None:
    bench.environment["SLOW_SECONDS"] = "0.5"
    bench.evaluate(bench.poor, "poor", limits={"runSeconds": 2}, **bench.against_good())
    there = len(samples(bench.output("poor") / "baseline-samples.jsonl")) // BATCH
    assert 0 < there < BATCHES
    bench.passes()
    bench.environment["SLOW_SECONDS"] = "0"
    ended = bench.evaluate(bench.poor, "poor", **bench.against_good())
    assert (ended.summary.verdict, bench.passes()) == (Verdict.REGRESSED, BATCHES - there)


def test_sigterm_while_the_baseline_is_evaluated_asks_for_another_attempt_and_keeps_the_metrics(bench: Bench) -> None:
    bench.environment["SLOW_SECONDS"] = "0.5"
    evaluation = bench.start(bench.poor, "poor", **bench.against_good())
    kept = bench.output("poor") / "baseline-samples.jsonl"
    eventually(lambda: kept.exists() and kept.read_text(), timeout_seconds=60)
    evaluation.process.send_signal(signal.SIGTERM)
    ended = evaluation.wait(60)
    assert (ended.exit_code, ended.summary.reason) == (75, Reason.POD_LOST)
    assert ended.summary.metrics[0].n == SAMPLES


def test_exit_on_gate_tells_a_shell_that_a_checkpoint_regressed(bench: Bench, tmp_path: Path) -> None:
    def run(checkpoint: str, name: str, *more: str) -> int:
        flags = [
            "--suite",
            "classification",
            "--exit-on-gate",
            "--model",
            f"{bench.directory}/code/model.py:build",
            "--data",
            f"{bench.directory}/code/data.npz",
        ]
        output = ["--output-dir", str(tmp_path / name), "--cache", str(tmp_path / "cache")]
        return subprocess.run(
            [sys.executable, "-m", "hantei_cli.main", "evaluate", "--checkpoint", checkpoint, *flags, *output, *more],
            env={**os.environ, **bench.environment},
            capture_output=True,
            check=False,
        ).returncode

    assert run(bench.good, "good", "--minimum", "0.9") == 0
    assert run(bench.poor, "poor", "--baseline", str(tmp_path / "good"), "--max-drop", "0.1") == 1
    assert run(bench.poor, "poor", "--baseline", bench.good) == 1
    assert run(bench.good, "better", "--baseline", bench.poor, "--gate-metric", "accuracy", "--max-drop", "0.1") == 0
    result = EvaluationResult.model_validate_json((tmp_path / "better" / "result.json").read_text())
    assert (result.verdict, result.provenance.reused_samples) == (Verdict.PASS, SAMPLES)
