"""Utilisation and memory of one GPU by NVML; a reading that can't be taken says why, and changes nothing else."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

UNDER_MIG = "NVML has no utilisation for a MIG device"


@dataclass(frozen=True)
class GpuSample:
    """One look at the device; of all processes on it, whosever they are."""

    utilization_percent: float
    """Share of the last sample period of the driver (up to 1 s) in which any kernel ran."""
    memory_used_bytes: int
    memory_total_bytes: int


class GpuReader:
    """Reads the GPU of that UUID; ``nvml`` is the module ``pynvml`` (nvidia-ml-py), or one that answers like it."""

    def __init__(self, uuid: str | None, nvml: Any | None = None) -> None:
        self.reason = "no GPU is used"
        self._nvml = nvml
        self._handle: Any | None = None
        if uuid is not None:
            with self._failing():
                self._open(uuid)

    def sample(self) -> GpuSample | None:
        """Look at the device now; None when it can't be read, and ``reason`` says why."""
        if self._handle is None or self._nvml is None:
            return None
        with self._failing():
            utilisation = self._nvml.nvmlDeviceGetUtilizationRates(self._handle)
            memory = self._nvml.nvmlDeviceGetMemoryInfo(self._handle)
            return GpuSample(float(utilisation.gpu), int(memory.used), int(memory.total))
        return None

    def _open(self, uuid: str) -> None:
        nvml = self._nvml = self._nvml or importlib.import_module("pynvml")
        nvml.nvmlInit()
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        except nvml.NVMLError_NotFound:
            # CUDA gives a MIG device's UUID without saying that it is one.
            nvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid.partition('-')[2]}")
            self.reason = UNDER_MIG
            return
        try:
            under_mig = nvml.nvmlDeviceGetMigMode(handle)[0] == nvml.NVML_DEVICE_MIG_ENABLE
        except nvml.NVMLError_NotSupported:
            under_mig = False
        if under_mig:
            # The whole GPU's memory is readable, but says nothing about our part of it.
            self.reason = UNDER_MIG
            return
        self._handle, self.reason = handle, "no sample was taken yet"

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """An optional reading: whatever a driver or its absence makes NVML do must not end an evaluation."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # see above
            self._handle, self.reason = None, f"NVML: {error}"
