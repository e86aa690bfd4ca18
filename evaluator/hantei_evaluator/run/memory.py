"""How much of the container's memory limit is used, by its control group: the number that the OOM killer goes by."""

from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

import psutil

from hantei_evaluator.run.control_groups import MEMBERSHIP, MOUNTED, levels

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


_FILES: Final = {
    1: _Files(
        "memory.limit_in_bytes", "memory.usage_in_bytes", frozenset({"total_inactive_file", "total_active_file"})
    ),
    2: _Files("memory.max", "memory.current", frozenset({"inactive_file", "active_file"})),
}
"""By version."""


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


def find(root: Path = MOUNTED, membership: Path = MEMBERSHIP) -> MemoryLimit | None:
    """The tightest limit among this process's control group and those above it; None where there is none.

    ``root`` is where control groups are mounted, of version 1, 2 or both; ``membership`` lists those of the process.
    """
    total = psutil.virtual_memory().total
    limits = []
    for version, directory in levels("memory", root, membership):
        limit_bytes = _limit(directory / _FILES[version].limit)
        if limit_bytes is not None and limit_bytes < total:
            limits.append(MemoryLimit(directory, _FILES[version], limit_bytes))
    return min(limits, key=lambda each: each.limit_bytes, default=None)


def _limit(file: Path) -> int | None:
    """None for no limit: "max", or a number that no machine has."""
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return None
