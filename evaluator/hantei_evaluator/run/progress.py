"""How far the evaluation is, and when it last gave a sign of life."""

import threading
import time

from hantei_api.status import Progress


class ProgressTracker:
    """Written by the suite's thread, read by the server and the watchdog."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started: float | None = None
        self._alive = time.monotonic()
        self._done = 0
        self._total: int | None = None

    def start(self) -> None:
        """The evaluation begins: the rate and the stall clock count from here."""
        with self._lock:
            self._started = self._alive = time.monotonic()

    def update(self, done: int, total: int | None) -> None:
        """Note progress in samples."""
        with self._lock:
            self._done, self._total = done, total
            self._alive = time.monotonic()

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
            done, total, started = self._done, self._total, self._started
        eta = None
        if started is not None and total is not None and done > 0:
            eta = round((time.monotonic() - started) / done * max(total - done, 0), 1)
        text = f"{done}/{total}" if total is not None else str(done)
        return Progress(done=done, total=total, eta_seconds=eta, text=text)
