"""Politeness next to a training on the same device: how often, where and how much the forward passes compute."""

import importlib
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from typing_extensions import override

from hantei_api.spec import Politeness
from hantei_api.task import EvaluationTask
from hantei_evaluator.performance.monitor import ResourceMonitor
from hantei_evaluator.run.progress import ProgressTracker
from hantei_evaluator.suites.protocol import Stop

WAKE_SECONDS: Final = 0.05
"""A pause is no longer than this without a look at the stop."""
CREDIT_SECONDS: Final = 0.1
"""Lateness that later passes may make up for: a timer's, not that of a suite which was busy elsewhere."""
LOWEST_PERCENT: Final = 5.0
"""Held back no further than this (or the setting): an evaluation that never ends helps no training."""
_LOWER: Final = 0.7
_RAISE_PERCENT: Final = 1.0
_HYSTERESIS_PERCENT: Final = 5.0
logger = logging.getLogger(__name__)


class DutyCycle:
    """The share of time that forward passes may take: the setting, or less while the device is too busy.

    Additive increase and multiplicative decrease, as for congestion (Chiu and Jain 1989): down to 70 % of itself with
    every reading above the threshold, up by one point with every reading 5 points below it.
    """

    def __init__(self, setting_percent: float, threshold_percent: float) -> None:
        self.percent = setting_percent
        self._setting_percent = setting_percent
        self._threshold_percent = threshold_percent

    def observe(self, utilization_percent: float) -> None:
        """Take one reading of the device's utilisation."""
        if utilization_percent > self._threshold_percent:
            lowest = min(LOWEST_PERCENT, self._setting_percent)
            self.percent = max(self.percent * _LOWER, lowest)
        elif utilization_percent < self._threshold_percent - _HYSTERESIS_PERCENT:
            self.percent = min(self.percent + _RAISE_PERCENT, self._setting_percent)


@dataclass(frozen=True)
class Paced:
    """What the pace came to so far."""

    forward_seconds: float
    """Time in forward passes, by the device's own clock."""
    wall_seconds: float
    """Since the first forward pass began."""
    allowed_percent: float
    """The duty cycle that is held now."""

    @property
    def duty_cycle_percent(self) -> float | None:
        """Share of the wall time in forward passes; None before the first."""
        return 100.0 * self.forward_seconds / self.wall_seconds if self.wall_seconds > 0 else None


@dataclass(frozen=True)
class Clock:
    """Time and sleep, for tests to replace."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Forwards:
    """Measures forward passes by the wall clock: on a CPU a pass ends when the call does."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began = 0.0
        self._seconds = 0.0

    def begin(self) -> None:
        """A forward pass begins."""
        self._began = self._now()

    def end(self) -> None:
        """All of it is launched."""
        self._seconds += self._now() - self._began

    def take_seconds(self, *, wait: bool) -> float:
        """Time in passes since it was last taken; ``wait`` for those that still compute, or leave them for later."""
        del wait  # none does
        seconds, self._seconds = self._seconds, 0.0
        return seconds


class CudaForwards(Forwards):
    """Measures forward passes by events of the device, on a stream of their own where the spec asks for it.

    Work that the caller launched before is waited for on the device, and later work waits for the pass.
    """

    def __init__(self, *, low_priority: bool) -> None:
        super().__init__()
        # Seconds to import, and loaded wherever there is a device; much of it has no types.
        self._cuda: Any = importlib.import_module("torch").cuda
        self._stream: Any = None
        if low_priority:
            lowest, _highest = self._cuda.Stream.priority_range()
            self._stream = self._cuda.Stream(priority=lowest)
        self._on_stream: Any = None
        self._pending: deque[tuple[Any, Any]] = deque()

    @override
    def begin(self) -> None:
        if self._stream is not None:
            self._stream.wait_stream(self._cuda.current_stream())
            self._on_stream = self._cuda.stream(self._stream)
            self._on_stream.__enter__()
        pair = self._cuda.Event(enable_timing=True), self._cuda.Event(enable_timing=True)
        pair[0].record()
        self._pending.append(pair)

    @override
    def end(self) -> None:
        self._pending[-1][1].record()
        if self._stream is not None:
            self._on_stream.__exit__(None, None, None)
            self._cuda.current_stream().wait_stream(self._stream)

    @override
    def take_seconds(self, *, wait: bool) -> float:
        seconds = 0.0
        while self._pending and (wait or self._pending[0][1].query()):
            began, ended = self._pending.popleft()
            ended.synchronize()
            seconds += began.elapsed_time(ended) / 1000.0
        return seconds


class Pace(AbstractContextManager[None]):
    """Entered round every forward pass, by one thread: waits until the next pass is due, and measures it.

    A pass that took b seconds makes the next one due b / share after it began, so that passes take that share of the
    wall time, and a suite that is busy elsewhere for that long is not held up at all. ``recent`` gives the number of
    utilisation readings so far and the recent utilisation in percent.
    """

    def __init__(
        self,
        politeness: Politeness,
        stop: Stop,
        forwards: Forwards,
        *,
        threshold_percent: float,
        recent: Callable[[], tuple[int, float] | None],
        alive: Callable[[], None] = lambda: None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or Clock()
        self._stop = stop
        self._forwards = forwards
        self._duty = DutyCycle(float(politeness.duty_cycle_percent), threshold_percent)
        self._hold = politeness.hold_utilization
        self._recent = recent
        self._alive = alive
        self._seen = 0
        self._began: float | None = None
        self._due = 0.0
        self._start = 0.0
        self._ended: float | None = None
        self._inside = False
        self._forward_seconds = 0.0

    @override
    def __enter__(self) -> None:
        if self._inside:
            raise RuntimeError("a forward pass begins inside another: enter context.pace round each pass alone")
        if self._hold:
            self._observe()
        # Only now, so that the device may have computed while the suite did something else; and at full duty nobody waits.
        polite = self._duty.percent < 100.0
        seconds = self._forwards.take_seconds(wait=polite)
        self._forward_seconds += seconds
        if polite:
            self._due = self._start + seconds * 100.0 / self._duty.percent
            self._wait()
        now = self._clock.now()
        if self._began is None:
            self._began = self._due = now
        self._start = max(self._due, now - CREDIT_SECONDS)
        self._inside = True
        self._forwards.begin()

    @override
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside = False
        self._forwards.end()

    def paced(self) -> Paced:
        """What it came to so far."""
        end = self._clock.now() if self._ended is None else self._ended
        wall_seconds = end - self._began if self._began is not None else 0.0
        return Paced(self._forward_seconds, wall_seconds, self._duty.percent)

    def finish(self) -> Paced:
        """No pass will follow: the wall time ends now. For the thread that the passes were made by."""
        self._ended = self._clock.now()
        self._forward_seconds += self._forwards.take_seconds(wait=True)
        return self.paced()

    def _wait(self) -> None:
        while (left := self._due - self._clock.now()) > 0 and not self._stop.requested():
            self._alive()
            self._clock.sleep(min(left, WAKE_SECONDS))

    def _observe(self) -> None:
        recent = self._recent()
        if recent is not None and recent[0] != self._seen:
            before = self._duty.percent
            self._seen = recent[0]
            self._duty.observe(recent[1])
            if self._duty.percent != before:
                logger.debug("GPU utilisation %.0f %%: duty cycle %.1f %%", recent[1], self._duty.percent)


def cap_device_memory(politeness: Politeness) -> None:
    """Let torch allocate no more than the fraction of the device's memory that the spec allows."""
    if politeness.gpu_memory_fraction is not None:
        import torch  # noqa: PLC0415  # loaded by now

        torch.cuda.set_per_process_memory_fraction(politeness.gpu_memory_fraction)


def pace_of(
    task: EvaluationTask, stop: Stop, monitor: ResourceMonitor, progress: ProgressTracker, *, cuda: bool
) -> Pace:
    """The pace that the task asks for, on its device; caps the device's memory before anything is loaded."""
    politeness = task.politeness
    if cuda:
        cap_device_memory(politeness)
    elif politeness.hold_utilization:
        logger.warning("politeness.holdUtilization has no effect: the evaluation computes on the CPU")
    return Pace(
        politeness,
        stop,
        CudaForwards(low_priority=politeness.low_priority_stream) if cuda else Forwards(),
        threshold_percent=task.sla.gpu_utilization_percent,
        recent=monitor.recent_gpu_utilization,
        alive=progress.alive,
    )
