"""At 95 % of the memory limit an evaluation hands over what it has, instead of being killed with all of it.

In a real control group where one can be made (as root on Linux, and in most containers of CI); elsewhere beside a stand-in
for one, which the test's id says.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hantei_api.reasons import Reason
from support.evaluation import WRITE_RESULT, Ended, Evaluation, python_command
from support.memory_group import can_be_made, memory_group, stand_in

pytestmark = pytest.mark.timeout(120)

MIB = 2**20
REAL = can_be_made()
Run = Callable[[dict[str, Any], int], Ended]


@pytest.fixture(params=["real-control-group" if REAL else "stand-in-control-group"])
def run(tmp_path: Path) -> Iterator[Run]:
    """Run a task with that memory limit in bytes."""
    with ExitStack() as stack:

        def run(task: dict[str, Any], limit_bytes: int) -> Ended:
            if not REAL:
                return Evaluation(tmp_path, task, hantei=stand_in(tmp_path / "group", limit_bytes)).wait(60)
            group = stack.enter_context(memory_group(limit_bytes))
            assert group is not None
            evaluation = Evaluation(tmp_path, task)
            group.join(evaluation.process.pid)
            return evaluation.wait(60)

        yield run


def hoarding(directory: Path, body: str, **task: Any) -> dict[str, Any]:
    """2,000 samples in batches of two, through a model whose forward pass runs ``body``."""
    code = directory / "code"
    code.mkdir()
    (code / "model.py").write_text(
        "import time, torch\nhoard = []\n"
        "class Model(torch.nn.Linear):\n"
        f"    def forward(self, x):\n        {body}\n        return super().forward(x)\n"
        "def build():\n    return Model(4, 3)\n"
    )
    np.savez(code / "data.npz", x=np.zeros((2000, 4), np.float32), y=np.zeros(2000, np.int64))
    torch.save(nn.Linear(4, 3).state_dict(), directory / "checkpoint")
    suite = {"classification": {"model": "code/model.py:build", "data": "code/data.npz", "batchSize": 2}}
    return {"suite": suite, "inputs": [{"name": "code", "path": str(code)}], **task}


def assert_ended_by_the_limit(ended: Ended) -> None:
    assert (ended.exit_code, ended.summary.reason) == (75, Reason.MEMORY_LIMIT_REACHED), ended.stderr
    assert "of the memory limit of" in ended.summary.message
    assert ended.result is not None
    assert not ended.result.complete
    assert ended.left_over == []


def test_a_command_that_hoards_memory_ends_with_its_partial_metrics(tmp_path: Path, run: Run) -> None:
    code = WRITE_RESULT + (
        "import time\nhoard = []\nwhile True:\n    hoard.append(b'x' * 2_000_000)\n    time.sleep(0.02)"
    )

    ended = run(python_command(code, wandb={"project": "p", "mode": "offline"}), 300 * MIB)

    assert_ended_by_the_limit(ended)
    assert [metric.name for metric in ended.summary.metrics] == ["accuracy"]
    assert ended.summary.wandb is not None
    assert "too little memory" in ended.summary.wandb.message


def test_a_command_that_hoards_on_after_sigterm_is_killed_before_the_limit(tmp_path: Path, run: Run) -> None:
    code = WRITE_RESULT + (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nhoard = []\n"
        "while True:\n    hoard.append(b'x' * 2_000_000)\n    time.sleep(0.02)"
    )

    ended = run(python_command(code), 300 * MIB)

    assert_ended_by_the_limit(ended)
    assert [metric.name for metric in ended.summary.metrics] == ["accuracy"]


def test_a_suite_whose_memory_grows_by_batch_keeps_metrics_and_samples(tmp_path: Path, run: Run) -> None:
    ended = run(hoarding(tmp_path, "hoard.append(b'x' * 4_000_000); time.sleep(0.02)"), 1024 * MIB)

    assert_ended_by_the_limit(ended)
    assert ended.summary.metrics[0].n == ended.summary.samples_done > 0
    assert ended.summary.samples_done < 2000
    samples = (tmp_path / "output" / "samples.jsonl").read_text().splitlines()
    assert len(samples) == ended.summary.samples_done


def test_a_forward_pass_that_never_returns_ends_with_the_samples_before_it(tmp_path: Path, run: Run) -> None:
    body = "hoard.append(b'x' * 4_000_000); time.sleep(0.02)\n        while len(hoard) > 5: hoard.append(b'x' * 4_000_000); time.sleep(0.02)"

    ended = run(hoarding(tmp_path, body), 1024 * MIB)

    assert_ended_by_the_limit(ended)
    assert 0 < ended.summary.samples_done <= 10
    samples = (tmp_path / "output" / "samples.jsonl").read_text().splitlines()
    assert len(samples) == ended.summary.samples_done


def test_a_suite_that_fails_because_its_process_was_killed_for_memory_says_so(tmp_path: Path, run: Run) -> None:
    hoard = "import time; hoard = []\nwhile True: hoard.append(b'x' * 4_000_000); time.sleep(0.02)"
    body = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hoard!r}], check=True)"

    ended = run(hoarding(tmp_path, body), 1024 * MIB)

    assert_ended_by_the_limit(ended)
    assert "died with <Signals.SIGKILL: 9>" in ended.stderr
