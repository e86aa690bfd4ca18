"""A real evaluation of a real checkpoint holds the duty cycle that its task asks for, and shows it.

How exactly is what benchmarks/politeness.py measures.
"""

from pathlib import Path

import pytest
import torch
from prometheus_client.parser import text_string_to_metric_families

from hantei_api.reasons import Reason
from hantei_api.spec import Politeness
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
