"""Every ending of the process: its exit code, its evidence, and nothing left behind."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hantei_api.reasons import Reason
from support.evaluation import WRITE_RESULT, Evaluation, evaluate, python_command
from support.waiting import eventually

pytestmark = pytest.mark.timeout(60)

HANGS = """
import time, torch
class Model(torch.nn.Linear):
    batches = 0
    def forward(self, x):
        Model.batches += 1
        if Model.batches == 3:
            hang()
        return super().forward(x)
def hang():
    time.sleep(600)
def build():
    return Model(4, 3)
"""


def classification(directory: Path, model: str, **task: Any) -> dict[str, Any]:
    """Ten samples in batches of two, through the model's code."""
    code = directory / "code"
    code.mkdir()
    (code / "model.py").write_text(model)
    np.savez(code / "data.npz", x=np.zeros((10, 4), np.float32), y=np.zeros(10, np.int64))
    torch.save(nn.Linear(4, 3).state_dict(), directory / "checkpoint")
    suite = {"classification": {"model": "code/model.py:build", "data": "code/data.npz", "batchSize": 2}}
    return {"suite": suite, "inputs": [{"name": "code", "path": str(code)}], **task}


def processes_with(word: str) -> str:
    return subprocess.run(["pgrep", "-f", "--", word], capture_output=True, text=True, check=False).stdout


def test_a_command_that_ignores_sigterm_ends_at_its_deadline_and_keeps_its_metrics(tmp_path: Path) -> None:
    code = (
        WRITE_RESULT
        + f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)  # {tmp_path}"
    )

    ended = evaluate(tmp_path, python_command(code, limits={"runSeconds": 1}))

    assert (ended.exit_code, ended.summary.reason) == (75, Reason.DEADLINE_EXCEEDED)
    assert ended.summary.timings.evaluate_seconds < 5
    assert not ended.summary.complete
    assert [metric.name for metric in ended.summary.metrics] == ["accuracy"]
    assert "runSeconds 1 s" in ended.summary.message
    assert ended.left_over == []
    assert processes_with(f"# {tmp_path}$") == ""


def test_the_wall_counts_from_the_task_files_age(tmp_path: Path) -> None:
    ended = evaluate(tmp_path, python_command("import time; time.sleep(600)", limits={"wallSeconds": 12}))

    assert (ended.exit_code, ended.summary.reason) == (75, Reason.DEADLINE_EXCEEDED)
    assert ended.summary.timings.evaluate_seconds < 6
    assert "wallSeconds 12 s" in ended.summary.message


def test_sigterm_ends_in_75_within_the_grace_period(tmp_path: Path) -> None:
    code = WRITE_RESULT + "import time; open(os.environ['HANTEI_OUTPUT'] + '/up', 'w'); time.sleep(600)"
    evaluation = Evaluation(tmp_path, python_command(code))
    eventually((tmp_path / "output" / "up").exists)

    evaluation.process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    ended = evaluation.wait()

    assert (ended.exit_code, ended.summary.reason) == (75, Reason.POD_LOST)
    assert time.monotonic() - started < 5
    assert ended.result is not None
    assert not ended.result.complete
    assert ended.left_over == []


def test_a_hung_forward_pass_ends_after_sigterm_with_the_samples_so_far(tmp_path: Path) -> None:
    evaluation = Evaluation(tmp_path, classification(tmp_path, HANGS))
    samples = tmp_path / "output" / "samples.jsonl"
    eventually(lambda: samples.exists() and len(samples.read_text().splitlines()) == 2)

    evaluation.process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    ended = evaluation.wait()

    assert (ended.exit_code, ended.summary.reason) == (75, Reason.POD_LOST)
    assert time.monotonic() - started < 5
    assert (ended.summary.samples_done, ended.summary.samples_total) == (2, 10)
    assert ended.result is not None
    assert not ended.result.complete
    assert ended.left_over == []


def test_a_hung_forward_pass_ends_at_the_deadline(tmp_path: Path) -> None:
    ended = evaluate(tmp_path, classification(tmp_path, HANGS, limits={"runSeconds": 1}))

    assert (ended.exit_code, ended.summary.reason) == (75, Reason.DEADLINE_EXCEEDED)
    assert not ended.summary.complete
    assert ended.left_over == []


def test_a_stalled_loop_is_hung_and_shows_its_stack(tmp_path: Path) -> None:
    ended = evaluate(tmp_path, classification(tmp_path, HANGS, limits={"stallSeconds": 1}))

    assert (ended.exit_code, ended.summary.reason) == (75, Reason.HUNG)
    assert "stallSeconds (1 s), at 2/10 samples" in ended.summary.message
    assert "in hang" in (ended.result.log_tail if ended.result else "" or "")
    assert ended.left_over == []


def test_a_deadline_between_batches_keeps_the_partial_metrics(tmp_path: Path) -> None:
    slow = HANGS.replace("time.sleep(600)", "time.sleep(1.2)")

    ended = evaluate(tmp_path, classification(tmp_path, slow, limits={"runSeconds": 1}))

    assert (ended.exit_code, ended.summary.reason) == (75, Reason.DEADLINE_EXCEEDED)
    assert not ended.summary.complete
    assert ended.summary.metrics[0].n == 6


def test_a_killed_evaluation_leaves_its_output_marked_incomplete(tmp_path: Path) -> None:
    evaluation = Evaluation(tmp_path, classification(tmp_path, HANGS))
    samples = tmp_path / "output" / "samples.jsonl"
    eventually(lambda: samples.exists() and samples.read_text())

    os.kill(evaluation.process.pid, signal.SIGKILL)
    evaluation.process.communicate()

    assert '"complete": false' in (tmp_path / "output" / "result.json").read_text()


def test_a_model_that_raises_shows_its_traceback(tmp_path: Path) -> None:
    ended = evaluate(tmp_path, classification(tmp_path, HANGS.replace("time.sleep(600)", "raise KeyError('weights')")))

    assert (ended.exit_code, ended.summary.reason) == (70, Reason.EVALUATOR_ERROR)
    assert "KeyError: 'weights'" in ended.summary.message
    assert "model.py" in (ended.result.log_tail if ended.result else "" or "")


def test_a_gpu_that_torch_cannot_use_is_device_unavailable(tmp_path: Path) -> None:
    ended = evaluate(tmp_path, python_command(WRITE_RESULT, limits={"gpus": 1}), {"CUDA_VISIBLE_DEVICES": ""})

    assert (ended.exit_code, ended.summary.reason) == (69, Reason.DEVICE_UNAVAILABLE)
    assert "allowCpu" in ended.summary.message


def test_allow_cpu_says_what_computed(tmp_path: Path) -> None:
    task = python_command(WRITE_RESULT, limits={"gpus": 1, "allowCpu": True})

    ended = evaluate(tmp_path, task, {"CUDA_VISIBLE_DEVICES": ""})

    assert ended.exit_code == 0, ended.stderr
    assert ended.summary.provenance.device == "cpu"


def test_an_output_that_cannot_be_written_costs_no_verdict(tmp_path: Path) -> None:
    blocked = tmp_path / "checkpoint"
    task = python_command(WRITE_RESULT, outputDirectory=str(blocked / "output"))

    ended = evaluate(tmp_path, task)

    assert (ended.exit_code, ended.summary.reason) == (0, Reason.COMPLETED)
    assert ended.summary.published is False
    assert "Not a directory" in ended.summary.publish_message


def test_an_output_volume_that_hangs_ends_at_the_wall(tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    os.mkfifo(tmp_path / "output" / "samples.jsonl")  # a stand-in: opening it blocks as a dead NFS server does

    ended = evaluate(tmp_path, python_command(WRITE_RESULT, limits={"wallSeconds": 11}))

    assert (ended.exit_code, ended.summary.reason) == (75, Reason.DEADLINE_EXCEEDED)
    assert "It was still loading." in ended.summary.message
    assert ended.left_over == []


@pytest.mark.parametrize(
    ("task", "exit_code", "reason", "words"),
    [
        ({}, 64, Reason.INVALID_TASK, "suite: Field required"),
        (
            {"suite": {"command": {"argv": []}}},
            64,
            Reason.INVALID_TASK,
            "suite.command.argv: List should have at least 1",
        ),
        ({"suite": {"command": {"argv": ["true"]}}, "seed": "x"}, 64, Reason.INVALID_TASK, "seed: Input should be"),
        (
            python_command("pass", checkpoint={"path": "/nowhere/at/all.pt"}),
            66,
            Reason.CHECKPOINT_MISSING,
            "checkpoint: /nowhere/at/all.pt: no such file; / is there and holds",
        ),
    ],
)
def test_a_bad_task_names_its_field(
    tmp_path: Path, task: dict[str, Any], exit_code: int, reason: Reason, words: str
) -> None:
    ended = evaluate(tmp_path, task)

    assert (ended.exit_code, ended.summary.reason) == (exit_code, reason)
    assert words in ended.summary.message
    assert ended.left_over == []
