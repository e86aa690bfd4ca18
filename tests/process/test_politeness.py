"""A real evaluation of a real checkpoint holds the duty cycle that its task asks for, and shows it.

How exactly is what benchmarks/politeness.py measures.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from prometheus_client.parser import text_string_to_metric_families

from hantei_api.reasons import Reason
from hantei_api.spec import Politeness
from hantei_evaluator.performance import training_impact_percent
from hantei_evaluator.run.deadline import Deadline, TaskLimits
from hantei_evaluator.run.pace import CudaForwards, Pace, cap_device_memory
from support.evaluation import Evaluation
from support.ports import free_port, get
from support.waiting import eventually

pytestmark = pytest.mark.timeout(120)


def duty_cycle(port: int) -> dict[str, float]:
    found = {
        sample.labels["statistic"]: sample.value
        for family in text_string_to_metric_families(get(port, "/metrics")[1])
        for sample in family.samples
        if sample.name == "hantei_evaluation_duty_cycle_ratio"
    }
    assert found.get("achieved", 0) > 0, found
    return found


def test_the_duty_cycle_of_a_running_evaluation_is_on_metrics_and_in_its_log(tmp_path: Path, keisei: Path) -> None:
    port = free_port()
    task = {
        "checkpoint": {"path": str(keisei / "checkpoint_ts10000.pth")},
        "suite": {"shogi": {"numGames": 100_000}},
        "politeness": {"dutyCyclePercent": 30},
        "limits": {"runSeconds": 4},
    }
    evaluation = Evaluation(tmp_path, task, port=port)
    seen = eventually(lambda: duty_cycle(port))
    ended = evaluation.wait(60)

    assert ended.summary.reason is Reason.DEADLINE_EXCEEDED, ended.stderr
    assert (seen["setting"], seen["allowed"]) == (0.3, 0.3)
    assert "of 30 % allowed" in ended.stderr


@pytest.mark.gpu
def test_passes_on_a_stream_of_low_priority_are_timed_by_the_gpu() -> None:
    pace = Pace(
        Politeness(duty_cycle_percent=50),
        Deadline(TaskLimits()),
        CudaForwards(low_priority=True),
        threshold_percent=80.0,
        recent=lambda: None,
    )
    block = torch.randn(4096, 4096, device="cuda")
    total = torch.zeros((), device="cuda")
    for _ in range(20):
        with pace:
            assert torch.cuda.current_stream() != torch.cuda.default_stream()
            for _ in range(20):
                product = block @ block
        total += product.abs().mean()
    paced = pace.finish()

    assert total.item() > 0
    assert paced.duty_cycle_percent == pytest.approx(50, abs=10)


@pytest.mark.gpu
def test_torch_allocates_no_more_than_the_fraction() -> None:
    cap_device_memory(Politeness(gpu_memory_fraction=0.01))
    try:
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(int(torch.cuda.get_device_properties(0).total_memory * 0.02), dtype=torch.uint8, device="cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


TRAINING = """
import sys, time, torch
model = torch.nn.Sequential(*(torch.nn.Conv2d(64, 64, 3, padding=1) for _ in range(8))).cuda()
optimizer = torch.optim.Adam(model.parameters())
x = torch.randn(256, 64, 9, 9, device="cuda")
step = 0
while True:
    optimizer.zero_grad(set_to_none=True)
    model(x).square().mean().backward()
    optimizer.step()
    torch.cuda.synchronize()
    step += 1
    print(step, time.monotonic(), flush=True)
"""


class Training:
    """A training in a process of its own, which computes on the GPU all the time."""

    def __init__(self, directory: Path) -> None:
        self._log = directory / "steps"
        with self._log.open("w") as log:
            self.process = subprocess.Popen([sys.executable, "-c", TRAINING], stdout=log)

    def at(self) -> tuple[int, float]:
        """The last step, and when it ended."""
        last = self._log.read_text().rpartition("\n")[0].rpartition("\n")[2]
        step, _, seconds = last.partition(" ")
        return int(step or 0), float(seconds or 0)

    def rate(self, seconds: float) -> float:
        """Steps a second over that long from now."""
        first = self.at()
        last = eventually(lambda: self.at() if self.at()[1] > first[1] + seconds else None, timeout_seconds=60)
        return (last[0] - first[0]) / (last[1] - first[1])


@pytest.mark.gpu
def test_a_training_on_the_same_gpu_keeps_95_percent_of_its_steps(tmp_path: Path, keisei: Path) -> None:
    training = Training(tmp_path)
    try:
        eventually(lambda: training.at()[0] > 50, timeout_seconds=60)
        alone = training.rate(5)
        task = {
            "checkpoint": {"path": str(keisei / "checkpoint_ts10000.pth")},
            "suite": {"shogi": {"numGames": 100_000}},
            "politeness": {"dutyCyclePercent": 3, "gpuMemoryFraction": 0.1},
            "limits": {"runSeconds": 30, "gpus": 1},
        }
        port = free_port()
        evaluation = Evaluation(tmp_path, task, port=port)
        eventually(lambda: duty_cycle(port), timeout_seconds=60)
        beside = training.rate(10)
        evaluation.process.terminate()
        ended = evaluation.wait(60)
    finally:
        training.process.kill()
        training.process.wait()

    assert ended.summary.provenance.device != "cpu"
    assert training_impact_percent(alone, beside) <= 5
