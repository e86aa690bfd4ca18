"""What an evaluation uses, sampled while it runs: CPU, resident memory, torch's device memory, the GPU."""

import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import psutil

from hantei_evaluator.performance.gpu import GpuReader

SAMPLE_SECONDS: Final = 0.5
RECENT_SAMPLES: Final = 4
"""Samples in the recent utilisation: long enough that one ply is no peak, short enough to react to."""


@dataclass(frozen=True)
class ResourceReadings:
    """Readings from the start to now; None could not be taken."""

    cpu_percent: float
    """Mean use of the cores given, in percent: 100 is all of them; this process and its descendants."""
    cpu_peak_percent: float
    resident_bytes: int
    """Resident memory of this process and its descendants, now."""
    resident_peak_bytes: int
    resident_growth_bytes: int
    """The peak over what was resident at the start."""
    torch_allocated_peak_bytes: int
    """Peak of tensors on the GPU; of this process alone, and without the CUDA context."""
    torch_reserved_peak_bytes: int
    """Peak of what torch's allocator held on the GPU, likewise."""
    gpu_utilization_percent: float | None
    """Mean share of time in which any kernel of any process ran on the GPU."""
    gpu_utilization_peak_percent: float | None
    gpu_memory_used_peak_bytes: int | None
    """Peak use of the whole GPU, of all processes with their contexts."""
    gpu_memory_total_bytes: int | None
    gpu_reason: str
    """Why the GPU's readings are None; empty when they are there."""

    @property
    def memory_overhead_bytes(self) -> int:
        """Peak device memory that torch reserved, plus the growth of resident memory; the CUDA context is not in it."""
        return self.torch_reserved_peak_bytes + self.resident_growth_bytes


@dataclass
class _Peaks:
    resident_bytes: int
    cpu_percent: float = 0.0
    gpu_utilization_percent: float = 0.0
    gpu_memory_used_bytes: int = 0
    gpu_memory_total_bytes: int = 0


class ResourceMonitor:
    """Samples this process and its descendants in a thread of its own, twice a second.

    ``gpu_uuid`` is the device as NVML names it (GPU-...); None: no GPU. ``cpus`` are the cores that CPU percent refers
    to; None: those that this process may run on. ``nvml`` takes the place of the module ``pynvml``.
    Use it as a context manager, or call ``start`` and ``stop``.
    """

    def __init__(self, gpu_uuid: str | None = None, *, cpus: float | None = None, nvml: Any | None = None) -> None:
        self._gpu = GpuReader(gpu_uuid, nvml)
        self._cpus = cpus or len(os.sched_getaffinity(0))
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="resources", daemon=True)
        resident_bytes, self._cpu_start = _usage()
        self._resident_start = self._resident = resident_bytes
        self._peak = _Peaks(resident_bytes)
        self._started = self._sampled = time.monotonic()
        self._cpu_seconds = self._cpu_start
        self._utilisation_sum = 0.0
        self._utilisation_count = 0
        self._recent: deque[float] = deque(maxlen=RECENT_SAMPLES)

    def start(self) -> None:
        """Sample from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Take a last sample and stop; a second call does nothing."""
        if not self._stop.is_set():
            self._stop.set()
            self.sample()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def sample(self) -> None:
        """Take one sample now."""
        resident_bytes, cpu_seconds = _usage()
        seen = self._gpu.sample()
        now = time.monotonic()
        with self._lock:
            peak = self._peak
            if now > self._sampled and cpu_seconds > self._cpu_seconds:
                percent = self._percent(cpu_seconds - self._cpu_seconds, now - self._sampled)
                peak.cpu_percent = max(peak.cpu_percent, percent)
            # A descendant that ended without being waited for takes its time with it.
            self._sampled, self._cpu_seconds = now, max(cpu_seconds, self._cpu_seconds)
            self._resident = resident_bytes
            peak.resident_bytes = max(peak.resident_bytes, resident_bytes)
            if seen is not None:
                self._utilisation_sum += seen.utilization_percent
                self._utilisation_count += 1
                self._recent.append(seen.utilization_percent)
                peak.gpu_utilization_percent = max(peak.gpu_utilization_percent, seen.utilization_percent)
                peak.gpu_memory_used_bytes = max(peak.gpu_memory_used_bytes, seen.memory_used_bytes)
                peak.gpu_memory_total_bytes = seen.memory_total_bytes

    def readings(self) -> ResourceReadings:
        """Everything as of the last sample."""
        allocated, reserved = _torch_peaks()
        with self._lock:
            peak, count = self._peak, self._utilisation_count
            return ResourceReadings(
                cpu_percent=self._percent(self._cpu_seconds - self._cpu_start, self._sampled - self._started),
                cpu_peak_percent=peak.cpu_percent,
                resident_bytes=self._resident,
                resident_peak_bytes=peak.resident_bytes,
                resident_growth_bytes=peak.resident_bytes - self._resident_start,
                torch_allocated_peak_bytes=allocated,
                torch_reserved_peak_bytes=reserved,
                gpu_utilization_percent=self._utilisation_sum / count if count else None,
                gpu_utilization_peak_percent=peak.gpu_utilization_percent if count else None,
                gpu_memory_used_peak_bytes=peak.gpu_memory_used_bytes if count else None,
                gpu_memory_total_bytes=peak.gpu_memory_total_bytes if count else None,
                gpu_reason="" if count else self._gpu.reason,
            )

    def recent_gpu_utilization(self) -> tuple[int, float] | None:
        """The number of samples so far and the mean of the last few, in percent; None without a reading."""
        with self._lock:
            if not self._recent:
                return None
            return self._utilisation_count, sum(self._recent) / len(self._recent)

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self.sample()

    def _percent(self, cpu_seconds: float, seconds: float) -> float:
        return 100.0 * cpu_seconds / (seconds * self._cpus) if seconds > 0 else 0.0


def _usage() -> tuple[int, float]:
    """Resident bytes and CPU seconds of this process and its descendants, the ended ones' CPU seconds too."""
    resident_bytes, cpu_seconds = 0, 0.0
    with suppress(psutil.Error):
        process = psutil.Process()
        for member in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error), member.oneshot():
                resident_bytes += member.memory_info().rss
                times = member.cpu_times()
                cpu_seconds += times.user + times.system + times.children_user + times.children_system
    return resident_bytes, cpu_seconds


def _torch_peaks() -> tuple[int, int]:
    """Bytes allocated and reserved at most, without importing torch where nobody else has."""
    torch = sys.modules.get("torch")
    with suppress(RuntimeError, AttributeError):
        if torch is not None and torch.cuda.is_initialized():
            return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    return 0, 0
