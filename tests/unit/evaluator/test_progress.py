"""How much longer an evaluation will take."""

import pytest

from hantei_evaluator.run.progress import ProgressTracker


def test_samples_that_were_there_already_do_not_count_as_fast_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("hantei_evaluator.run.progress.time.monotonic", lambda: now)
    tracker = ProgressTracker()
    tracker.start()
    tracker.update(900, 1000)
    assert tracker.snapshot().eta_seconds is None
    now = 110.0
    tracker.update(910, 1000)
    assert tracker.snapshot().eta_seconds == 90.0
