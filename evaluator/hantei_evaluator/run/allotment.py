"""The cores that the pod was given: its control groups' quota and its CPU set, never what the node has."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from hantei_evaluator.run.control_groups import MEMBERSHIP, MOUNTED, levels

IN_A_POD: Final = "KUBERNETES_SERVICE_HOST"


def cores(
    root: Path = MOUNTED,
    membership: Path = MEMBERSHIP,
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
    """In cores, of every level that has one."""
    for version, directory in levels("cpu", root, membership):
        yield from _version_2(directory) if version == 2 else _version_1(directory)


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
