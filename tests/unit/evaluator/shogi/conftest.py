import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

KEISEI = Path(__file__).parents[3] / "fixtures" / "keisei"


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """Tiny batches: threads of torch would only wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def keisei() -> Path:
    return KEISEI


@pytest.fixture(scope="session")
def reference() -> list[dict[str, Any]]:
    """Positions with what Keisei itself says about them."""
    with gzip.open(KEISEI / "positions.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


@dataclass
class RecordedRun:
    """A recorder and a stop: it stops once a number of plies or samples was seen."""

    stop_after_asks: int | None = None
    stop_after_samples: int | None = None
    asks: int = 0
    samples: list[dict[str, Any]] = field(default_factory=list)
    progress_reports: list[tuple[int, int | None]] = field(default_factory=list)

    def sample(self, record: Any) -> None:
        self.samples.append(json.loads(json.dumps(record)))

    def progress(self, done: int, total: int | None) -> None:
        self.progress_reports.append((done, total))

    def remaining_seconds(self) -> float:
        return float("inf")

    def requested(self) -> bool:
        self.asks += 1
        return (self.stop_after_asks is not None and self.asks > self.stop_after_asks) or (
            self.stop_after_samples is not None and len(self.samples) >= self.stop_after_samples
        )


@pytest.fixture
def recorded_run() -> type[RecordedRun]:
    return RecordedRun
