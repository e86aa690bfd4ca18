"""What an evaluation costs: resident memory, device memory and GPU utilisation, sampled while it runs."""

import logging
import os
import sys
import threading
from contextlib import suppress

import psutil

from hantei_evaluator.run.device import Device

SAMPLE_SECONDS = 0.5
logger = logging.getLogger(__name__)


class ResourceSampler:
    """Peak growth of resident memory (this process and its children) and mean GPU utilisation."""

    def __init__(self, device: Device) -> None:
        self._stop = threading.Event()
        self._baseline_bytes = _resident_bytes()
        self._peak_bytes = self._baseline_bytes
        self._utilisation_sum = 0.0
        self._utilisation_count = 0
        self._handle: object | None = None
        self.utilisation_reason = "no GPU is used"
        if device.uuid is not None:
            self._open_nvml(device.uuid)
        self._thread = threading.Thread(target=self._run, name="resources", daemon=True)

    def start(self) -> None:
        """Sample from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Take a last sample and stop."""
        self._stop.set()
        self._sample()

    def memory_overhead_bytes(self) -> int:
        """Peak device memory that torch reserved here, plus the peak growth of resident memory."""
        device_bytes = 0
        if torch := sys.modules.get("torch"):
            with suppress(RuntimeError):
                device_bytes = torch.cuda.max_memory_reserved() if torch.cuda.is_initialized() else 0
        return device_bytes + max(self._peak_bytes - self._baseline_bytes, 0)

    def gpu_utilization_percent(self) -> float | None:
        """Mean share of the time in which any kernel ran on the device, in percent; None without a reading."""
        return self._utilisation_sum / self._utilisation_count if self._utilisation_count else None

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        self._peak_bytes = max(self._peak_bytes, _resident_bytes())
        if self._handle is not None:
            import pynvml  # noqa: PLC0415  # only with a GPU

            try:
                self._utilisation_sum += pynvml.nvmlDeviceGetUtilizationRates(self._handle).gpu
                self._utilisation_count += 1
            except pynvml.NVMLError as error:
                self._handle, self.utilisation_reason = None, f"NVML: {error}"

    def _open_nvml(self, uuid: str) -> None:
        """NVML names no utilisation for a part of a GPU: under MIG there is no reading, rather than a wrong one."""
        import pynvml  # noqa: PLC0415  # only with a GPU

        try:
            pynvml.nvmlInit()
            handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
            with suppress(pynvml.NVMLError_NotSupported):
                if pynvml.nvmlDeviceGetMigMode(handle)[0] == pynvml.NVML_DEVICE_MIG_ENABLE:
                    self.utilisation_reason = "NVML has no utilisation for a MIG device"
                    return
        except pynvml.NVMLError as error:
            self.utilisation_reason = f"NVML: {error}"
            return
        self._handle, self.utilisation_reason = handle, "no sample was taken yet"


def _resident_bytes() -> int:
    total = 0
    with suppress(psutil.Error):
        process = psutil.Process(os.getpid())
        for member in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error):
                total += member.memory_info().rss
    return total
