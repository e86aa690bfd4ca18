"""What /metrics shows beside the service levels, in base units."""

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from hantei_api.task import EvaluationTask
from hantei_evaluator.export.prometheus import registry_of
from hantei_evaluator.performance import ResourceMonitor
from hantei_evaluator.run.deadline import Deadline
from hantei_evaluator.run.logtail import LogTail
from hantei_evaluator.run.pace import pace_of
from hantei_evaluator.run.session import Session
from support.nvml import StandInNvml


def scraped(monitor: ResourceMonitor) -> dict[tuple[str, str], float]:
    task = EvaluationTask.model_validate(
        {
            "checkpoint": {"path": "a"},
            "suite": {"command": {"argv": ["true"]}},
            "politeness": {"dutyCyclePercent": 40},
        }
    )
    session = Session(task, Deadline(task.limits), LogTail())
    session.remove_scratch()
    session.resources = monitor
    session.pace = pace_of(task, session.deadline, monitor, session.progress, cuda=False)
    monitor.sample()
    return {
        (sample.name.removeprefix("hantei_evaluation_"), sample.labels.get("statistic", "")): sample.value
        for family in text_string_to_metric_families(generate_latest(registry_of(session)).decode())
        for sample in family.samples
    }


def test_nvml_stand_in_readings_are_ratios_and_bytes() -> None:
    seen = scraped(ResourceMonitor("GPU-0", nvml=StandInNvml(utilization=[60], used=[700])))

    assert seen["gpu_utilization_ratio", "mean"] == seen["gpu_utilization_ratio", "peak"] == 0.6
    assert (seen["gpu_memory_bytes", "used"], seen["gpu_memory_bytes", "total"]) == (700, 1000)
    assert seen["resident_memory_bytes", "peak"] >= seen["resident_memory_bytes", "now"] > 1_000_000
    assert seen["cpu_ratio", "mean"] >= 0
    assert seen["torch_memory_bytes", "reserved"] == 0
    assert (seen["duty_cycle_ratio", "setting"], seen["duty_cycle_ratio", "allowed"]) == (0.4, 0.4)
    assert seen["forward_seconds_total", ""] == 0


def test_what_cannot_be_read_is_absent() -> None:
    seen = scraped(ResourceMonitor())

    assert not [name for name, _ in seen if name.startswith("gpu_")]
    assert ("duty_cycle_ratio", "achieved") not in seen
