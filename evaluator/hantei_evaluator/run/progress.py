"""How far the evaluation is, and when it last gave a sign of life."""

import threading
import time

from hantei_api.status import Progress


class ProgressTracker:
    """Written by the suite's thread, read by the server and the watchdog."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: tuple[float, int] | None = None
        """When the rate counts from, and the samples that were done by then: those that were taken over cost no time."""
        self._alive = time.monotonic()
        self._done = 0
        self._total: int | None = None

    def start(self) -> None:
        """The evaluation begins: the stall clock counts from here, the rate from the first progress."""
        with self._lock:
            self._alive = time.monotonic()

    def update(self, done: int, total: int | None) -> None:
        """Note progress in samples."""
        with self._lock:
            self._done, self._total = done, total
            self._alive = time.monotonic()
            self._first = self._first or (self._alive, done)

    def alive(self) -> None:
        """Note a sign of life that is no progress."""
        with self._lock:
            self._alive = time.monotonic()

    @property
    def done(self) -> int:
        """Samples evaluated so far."""
        return self._done

    @property
    def total(self) -> int | None:
        """Samples in all, when that is known."""
        return self._total

    def silent_seconds(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self._alive

    def snapshot(self) -> Progress:
        """Progress as in the run's status, with the time that is left by the mean rate so far."""
        with self._lock:
            done, total, first = self._done, self._total, self._first
        eta = None
        if first is not None and total is not None and done > first[1]:
            eta = round((time.monotonic() - first[0]) / (done - first[1]) * max(total - done, 0), 1)
        text = f"{done}/{total}" if total is not None else str(done)
        return Progress(done=done, total=total, eta_seconds=eta, text=text)
