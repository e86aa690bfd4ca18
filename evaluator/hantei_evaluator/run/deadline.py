"""The soft deadline: until when a suite's loop may go on, and why it must stop."""

import math
import threading
import time

from hantei_api.names import WALL_MARGIN_SECONDS
from hantei_api.reasons import Reason
from hantei_api.task import TaskLimits

PUBLISH_MARGIN_SECONDS = 1.0
"""Left of the wall, or of the grace period, when publishing is given up: time for the termination message."""


class Deadline:
    """Implements ``suites.protocol.Stop``; thread-safe.

    The wall counts from the pod's start, ``elapsed_seconds`` ago; the run clock from ``ready()``.
    """

    def __init__(self, limits: TaskLimits, elapsed_seconds: float = 0.0) -> None:
        self._limits = limits
        self._wall_end = math.inf
        self._soft_end = math.inf
        if limits.wall_seconds is not None:
            elapsed_seconds = min(max(elapsed_seconds, 0.0), limits.wall_seconds)
            self._wall_end = time.monotonic() - elapsed_seconds + limits.wall_seconds
            self._soft_end = self._wall_end - limits.grace_seconds - WALL_MARGIN_SECONDS
        self._signalled_at: float | None = None
        self._passed_before_signal = False
        self._stopped: tuple[float, Reason, str] | None = None
        self._lock = threading.Lock()

    def ready(self) -> None:
        """Start the run clock."""
        if self._limits.run_seconds is not None:
            self._soft_end = min(self._soft_end, time.monotonic() + self._limits.run_seconds)

    def signal(self) -> None:
        """Note that the process was told to stop (SIGTERM, SIGINT)."""
        with self._lock:
            if self._signalled_at is None:
                self._passed_before_signal = self.remaining_seconds() <= 0
                self._signalled_at = time.monotonic()

    def stop(self, reason: Reason, message: str) -> None:
        """Stop the loop for a reason of the evaluator's own; a stop that came earlier stays."""
        with self._lock:
            if not self.requested():
                self._stopped = (time.monotonic(), reason, message)

    def remaining_seconds(self) -> float:
        """Seconds to the soft deadline, never below 0; ``inf`` without one."""
        return max(self._soft_end - time.monotonic(), 0.0)

    def requested(self) -> bool:
        """Whether the loop must stop now."""
        return self._signalled_at is not None or self._stopped is not None or time.monotonic() >= self._soft_end

    @property
    def signalled(self) -> bool:
        """Whether the process was told to stop."""
        return self._signalled_at is not None

    @property
    def stopped(self) -> bool:
        """Whether the evaluator itself stopped the loop (``stop``)."""
        return self._stopped is not None

    def overrun_seconds(self) -> float:
        """Seconds since the loop should have stopped, for whatever reason; negative before."""
        stopped_at = self._stopped[0] if self._stopped is not None else math.inf
        return time.monotonic() - min(self._soft_end, self._signalled_at or math.inf, stopped_at)

    def reason(self) -> Reason:
        """Why the loop was stopped: that of ``stop``, PodLost for a signal, or DeadlineExceeded: what came first."""
        if self._stopped is not None:
            return self._stopped[1]
        if self._signalled_at is not None and not self._passed_before_signal:
            return Reason.POD_LOST
        return Reason.DEADLINE_EXCEEDED

    def describe(self) -> str:
        """The same in words."""
        if self._stopped is not None:
            return self._stopped[2]
        if self.reason() is Reason.POD_LOST:
            return "The evaluator was told to stop (SIGTERM or Ctrl-C) before it was done."
        limits = self._limits
        clocks = [
            f"{name} {value:g} s"
            for name, value in (("runSeconds", limits.run_seconds), ("wallSeconds", limits.wall_seconds))
            if value is not None
        ]
        return f"The evaluation was stopped at its deadline ({', '.join(clocks)}). Ask for fewer samples or raise the clock."

    def publish_end(self, started: float) -> float:
        """When publishing that began at ``started`` is given up, on the monotonic clock."""
        end = min(started + self._limits.publish_seconds, self._wall_end - PUBLISH_MARGIN_SECONDS)
        if self._signalled_at is not None:
            end = min(end, self._signalled_at + self._limits.grace_seconds - PUBLISH_MARGIN_SECONDS)
        return max(end, started + 0.5)
