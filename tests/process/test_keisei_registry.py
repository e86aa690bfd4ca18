"""elo_ratings.json under several processes, and under SIGKILL."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hantei_evaluator.suites.shogi.keisei.elo_registry import read_registry, registry_at
from support.waiting import eventually

WRITERS = 8
UPDATES = 100

# Every update adds one point to a rating of the writer's own and to one that all share: a lost update shows in the sum.
WRITER = """
import sys
from pathlib import Path
from hantei_evaluator.suites.shogi.keisei.elo_registry import registry_at

path, name, updates = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
update = 0
while update != updates:
    with registry_at(path, timeout_seconds=100) as registry:
        registry.ratings[name] = registry.rating(name) + 1
        registry.ratings["all"] = registry.rating("all") + 1
    update += 1
"""


@contextmanager
def writers(path: Path, count: int, updates: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that change the file, each ``updates`` times (for ever when negative)."""
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), f"writer-{number}", str(updates)])
        for number in range(count)
    ]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


@pytest.mark.timeout(120)
def test_of_eight_writers_with_a_hundred_updates_each_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "elo_ratings.json"
    with writers(path, WRITERS, UPDATES) as running:
        assert [process.wait() for process in running] == [0] * WRITERS
    ratings = read_registry(path).ratings
    assert ratings.pop("all") == 1500 + WRITERS * UPDATES
    assert set(ratings.values()) == {1500.0 + UPDATES}
    assert len(ratings) == WRITERS


@pytest.mark.timeout(120)
def test_writers_that_are_killed_at_any_moment_leave_a_whole_file_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "elo_ratings.json"
    # A file large enough that a kill can fall into the writing of it.
    with registry_at(path) as registry:
        registry.ratings = {f"checkpoint_ts{step}.pth": 1500.0 for step in range(20_000)}
    moments = random.Random(7)
    before = 0.0
    for _ in range(20):
        with writers(path, 1, -1) as (process,):
            eventually(lambda before=before: read_registry(path).ratings.get("all", 0) > before)
            end = time.monotonic() + moments.uniform(0, 0.1)
            while time.monotonic() < end:
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        registry = read_registry(path)
        assert len(registry.ratings) == 20_002
        assert registry.ratings["all"] == registry.ratings["writer-0"]
        before = registry.ratings["all"]
        with registry_at(path, timeout_seconds=5) as registry:
            assert registry.ratings["all"] == before
    json.loads(path.read_text())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["elo_ratings.json", "elo_ratings.json.lock"]


@pytest.mark.timeout(120)
def test_a_reader_without_the_lock_sees_whole_files_only(tmp_path: Path) -> None:
    path = tmp_path / "elo_ratings.json"
    with writers(path, 2, -1):
        eventually(path.exists)
        seen = set()
        for _ in range(300):
            ratings = read_registry(path).ratings
            assert ratings["all"] - 1500 == sum(rating - 1500 for name, rating in ratings.items() if name != "all")
            seen.add(ratings["all"])
            if len(seen) == 30:
                break
        eventually(lambda: read_registry(path).ratings["all"] > max(seen))
