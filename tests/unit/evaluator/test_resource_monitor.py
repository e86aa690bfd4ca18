"""What the monitor reads of this process, and of a GPU by NVML's stand-in: no GPU is here."""

import time
from typing import Any

import pytest
import torch

from hantei_evaluator.performance import ResourceMonitor
from hantei_evaluator.performance.gpu import UNDER_MIG
from support.nvml import StandInNvml, nvml_error

UUID = "GPU-00000000-0000-0000-0000-000000000000"


def monitored(nvml: Any, samples: int = 1, uuid: str | None = UUID) -> ResourceMonitor:
    monitor = ResourceMonitor(uuid, nvml=nvml)
    for _ in range(samples):
        monitor.sample()
    return monitor


def test_growth_of_resident_memory_is_the_overhead() -> None:
    monitor = ResourceMonitor()
    block = b"x" * 50_000_000
    monitor.sample()
    grown = monitor.readings()
    del block
    monitor.sample()
    shrunk = monitor.readings()

    assert 45_000_000 < grown.memory_overhead_bytes < 80_000_000
    assert shrunk.resident_growth_bytes == grown.resident_growth_bytes
    assert shrunk.resident_bytes < shrunk.resident_peak_bytes


def test_cpu_percent_is_of_the_cores_given() -> None:
    whole, half = ResourceMonitor(cpus=1), ResourceMonitor(cpus=2)
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    whole.sample()
    half.sample()

    assert 0 < whole.readings().cpu_percent <= 120
    assert half.readings().cpu_percent == pytest.approx(whole.readings().cpu_percent / 2, rel=0.3)


def test_without_a_gpu_its_readings_are_none_with_a_reason() -> None:
    readings = monitored(None, uuid=None).readings()
    assert (readings.gpu_utilization_percent, readings.gpu_memory_used_peak_bytes) == (None, None)
    assert readings.gpu_reason == "no GPU is used"


def test_nvml_stand_in_gives_mean_and_peak_by_uuid() -> None:
    nvml = StandInNvml(utilization=[10, 90, 50], used=[100, 300, 200])
    readings = monitored(nvml, samples=3).readings()

    assert nvml.opened == [UUID]
    assert (readings.gpu_utilization_percent, readings.gpu_utilization_peak_percent) == (50.0, 90.0)
    assert (readings.gpu_memory_used_peak_bytes, readings.gpu_memory_total_bytes) == (300, 1000)
    assert readings.gpu_reason == ""


def test_nvml_stand_in_recent_utilization_is_that_of_the_last_four_samples() -> None:
    monitor = monitored(StandInNvml(utilization=[0, 0, 90, 90, 90, 90]), samples=6)
    assert monitor.recent_gpu_utilization() == (6, 90.0)


@pytest.mark.parametrize("nvml", [StandInNvml(mig_mode=1), StandInNvml(mig_device=True)], ids=["parent", "instance"])
def test_nvml_stand_in_under_mig_there_is_no_reading_rather_than_a_wrong_one(nvml: StandInNvml) -> None:
    readings = monitored(nvml).readings()
    assert (readings.gpu_utilization_percent, readings.gpu_memory_total_bytes) == (None, None)
    assert readings.gpu_reason == UNDER_MIG


@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetUtilizationRates"])
def test_nvml_stand_in_that_fails_changes_nothing_else(call: str) -> None:
    nvml = StandInNvml()
    setattr(nvml, call, nvml_error)
    readings = monitored(nvml).readings()
    assert readings.gpu_reason == "NVML: Driver Not Loaded"
    assert readings.resident_bytes > 0


def test_nvml_stand_in_that_fails_later_leaves_what_was_read() -> None:
    nvml = StandInNvml(utilization=[40])
    monitor = monitored(nvml)
    nvml.nvmlDeviceGetMemoryInfo = nvml_error
    monitor.sample()
    assert monitor.readings().gpu_utilization_percent == 40.0


def test_real_nvml_without_a_driver_is_a_reason_and_no_error() -> None:
    readings = monitored(None).readings()
    if readings.gpu_utilization_percent is None:
        assert readings.gpu_reason.startswith("NVML: ")


@pytest.mark.gpu
def test_a_gpu_that_computes_is_seen_to() -> None:
    uuid = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
    block = torch.ones(4096, 4096, device="cuda")
    with ResourceMonitor(uuid) as monitor:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            (block @ block).sum().item()
    readings = monitor.readings()
    assert readings.gpu_utilization_peak_percent is not None
    assert readings.gpu_utilization_peak_percent > 50
    assert readings.torch_allocated_peak_bytes >= block.nbytes
