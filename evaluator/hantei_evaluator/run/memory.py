"""How much of the container's memory limit is used, by its control group: the number that the OOM killer goes by."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

import psutil

REACHED: Final = 0.95
"""Share of the limit at which the evaluation is told to stop and hand over what it has."""
CRITICAL: Final = 0.98
"""Share at which it is ended at once: what is left is needed to write the result."""
CLOSE: Final = 0.8
"""Share from which it is looked at ten times as often."""
_SECONDS: Final = 0.1
_SECONDS_WHEN_CLOSE: Final = 0.01


class Level(IntEnum):
    """How near the limit is."""

    FREE = 0
    REACHED = 1
    CRITICAL = 2


@dataclass(frozen=True)
class _Files:
    """Where a version of control groups keeps its numbers."""

    limit: str
    used: str
    reclaimable: frozenset[str]
    """Keys in memory.stat of page cache, which is given back before anything is killed; of the whole subtree.

    The active part too, unlike in the kubelet's working set: files that are read again and again would fill the limit.
    """


_V1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", frozenset({"total_inactive_file", "total_active_file"}))
_V2 = _Files("memory.max", "memory.current", frozenset({"inactive_file", "active_file"}))


class MemoryLimit:
    """The tightest memory limit over this process; see ``find``."""

    def __init__(self, directory: Path, files: _Files, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._used = directory / files.used
        self._stat = directory / "memory.stat"
        self._reclaimable = files.reclaimable

    def used_bytes(self) -> int:
        """Memory in use without page cache; 0 when it can't be read."""
        with suppress(OSError, ValueError):
            used = int(self._used.read_text())
            for line in self._stat.read_text().splitlines():
                name, _, value = line.partition(" ")
                if name in self._reclaimable:
                    used -= int(value)
            return max(used, 0)
        return 0

    def describe(self) -> str:
        """Why the evaluation is stopped, in words."""
        used, limit = self.used_bytes() / 2**20, self.limit_bytes / 2**20
        return (
            f"{used:.0f} MiB of the memory limit of {limit:.0f} MiB were in use, more than {REACHED:.0%}: the evaluation was "
            "stopped before it would have been killed."
        )

    @property
    def level(self) -> Level:
        """How near the limit is now."""
        share = self.used_bytes() / self.limit_bytes
        return Level.CRITICAL if share >= CRITICAL else Level.REACHED if share >= REACHED else Level.FREE

    @property
    def poll_seconds(self) -> float:
        """When to look again: it may be gigabytes a second that are allocated."""
        return _SECONDS_WHEN_CLOSE if self.used_bytes() >= CLOSE * self.limit_bytes else _SECONDS


def find(root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> MemoryLimit | None:
    """The tightest limit among this process's control group and those above it; None where there is none.

    ``root`` is where control groups are mounted, of version 1, 2 or both; ``membership`` lists those of the process.
    """
    total = psutil.virtual_memory().total
    limits = [
        MemoryLimit(directory, files, limit)
        for directory, files in _levels(root, membership)
        if (limit := _limit(directory / files.limit)) is not None and limit < total
    ]
    return min(limits, key=lambda each: each.limit_bytes, default=None)


def _levels(root: Path, membership: Path) -> Iterator[tuple[Path, _Files]]:
    """In a container the path that is listed may be the host's, while its own group is mounted at the root."""
    with suppress(OSError):
        for line in membership.read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0":
                mounts, files = [root, root / "unified"], _V2
            elif "memory" in controllers.split(","):
                mounts, files = [root / "memory"], _V1
            else:
                continue
            parts = Path(path.lstrip("/"))
            for mount in mounts:
                for part in (parts, *parts.parents):
                    yield mount / part, files


def _limit(file: Path) -> int | None:
    """None for no limit: "max", or a number that no machine has."""
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return None
