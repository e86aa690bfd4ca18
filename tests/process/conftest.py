"""Real processes on this machine: what they share."""

from pathlib import Path

import pytest

KEISEI = Path(__file__).parents[1] / "fixtures" / "keisei"


@pytest.fixture(autouse=True)
def _processes_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread of torch a process: several would only wait for each other on a small machine."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def keisei() -> Path:
    """Keisei's real checkpoints: checkpoint_ts10000.pth, checkpoint_ts20000.pth."""
    return KEISEI
