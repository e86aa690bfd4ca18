"""The cores that the pod was given: its control groups' quota and its CPU set, never what the node has."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

IN_A_POD: Final = "KUBERNETES_SERVICE_HOST"


def cores(
    root: Path = Path("/sys/fs/cgroup"),
    membership: Path = Path("/proc/self/cgroup"),
    *,
    affinity: Callable[[], int] = lambda: len(os.sched_getaffinity(0)),
    environment: Mapping[str, str] = os.environ,
) -> int:
    """Whole cores that may compute at the same time, at least 1.

    The least of the quotas of this process's control group and those above it, rounded down, and of the CPUs that it may
    run on, which is where a CPU set shows. A pod without a quota was promised nothing, and gets 1; outside of a pod all
    CPUs that the process may run on count.

    ``root`` is where control groups are mounted, of version 1, 2 or both; ``membership`` lists those of the process.
    """
    quotas = list(_quotas(root, membership))
    if not quotas:
        return 1 if IN_A_POD in environment else affinity()
    return max(1, min(int(min(quotas)), affinity()))


def _quotas(root: Path, membership: Path) -> Iterator[float]:
    """In cores, of every level that has one.

    In a container the listed path may be the host's: levels that aren't there are passed over, and the mount itself is one.
    """
    with suppress(OSError):
        for line in membership.read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            parts = Path(path.lstrip("/"))
            for level in (parts, *parts.parents):
                if number == "0":
                    yield from _version_2(root / level)
                    yield from _version_2(root / "unified" / level)
                elif "cpu" in controllers.split(","):
                    yield from _version_1(root / "cpu" / level)
                    yield from _version_1(root / controllers / level)


def _version_2(directory: Path) -> Iterator[float]:
    """cpu.max: "QUOTA PERIOD" in microseconds, "max" for no quota."""
    with suppress(OSError, ValueError):
        quota, period = (directory / "cpu.max").read_text().split()
        yield int(quota) / int(period)


def _version_1(directory: Path) -> Iterator[float]:
    """A quota of -1 is none."""
    with suppress(OSError, ValueError):
        quota = int((directory / "cpu.cfs_quota_us").read_text())
        period = int((directory / "cpu.cfs_period_us").read_text())
        if quota > 0:
            yield quota / period
