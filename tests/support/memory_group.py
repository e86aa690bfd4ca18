"""A control group with a memory limit for an evaluator's process; where none can be made, a stand-in for one."""

import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.waiting import eventually

ROOT = Path("/sys/fs/cgroup")

STAND_IN = """
import os, pathlib, sys, threading, time
import psutil
from hantei_cli.main import main
from hantei_evaluator.run import memory
directory, limit = pathlib.Path(sys.argv.pop(1)), sys.argv.pop(1)
(directory / "memory.max").write_text(limit)
(directory / "memory.stat").write_text("inactive_file 0")
def write():
    me = psutil.Process()
    while True:
        total = 0
        for process in [me, *me.children(recursive=True)]:
            try:
                total += process.memory_info().rss
            except psutil.Error:
                pass
        (directory / ".current").write_text(str(total))
        (directory / ".current").replace(directory / "memory.current")
        time.sleep(0.01)
threading.Thread(target=write, daemon=True).start()
while not (directory / "memory.current").exists():
    time.sleep(0.01)
(directory / "membership").write_text("0::/")
find = memory.find
memory.find = lambda: find(directory, directory / "membership")
sys.exit(main())
"""
"""Runs the evaluator beside a thread that writes the resident memory of its processes into a group's files. Nothing is
killed at the limit, so that a test has to show that the limit was never passed."""


def _own_directory() -> tuple[Path, str] | None:
    """This process's control group with a memory controller, and the name of its limit file."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return ROOT / "memory" / path.lstrip("/"), "memory.limit_in_bytes"
        if number == "0" and (ROOT / "cgroup.controllers").exists():
            return ROOT / path.lstrip("/"), "memory.max"
    return None


class MemoryGroup:
    """A real control group; ``join`` moves a process into it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def join(self, pid: int) -> None:
        """Count that process's memory from now on, and that of its children."""
        (self._directory / "cgroup.procs").write_text(str(pid))


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[MemoryGroup | None]:
    """A group with that limit, removed afterwards; None where this process may not make one."""
    directory = None
    try:
        if (own := _own_directory()) is not None:
            directory = own[0] / f"hantei-test-{uuid.uuid4().hex[:8]}"
            directory.mkdir()
            (directory / own[1]).write_text(str(limit_bytes))
    except OSError:
        if directory is not None and directory.exists():
            directory.rmdir()
        directory = None
    if directory is None:
        yield None
        return
    try:
        yield MemoryGroup(directory)
    finally:
        eventually(lambda: not (directory / "cgroup.procs").read_text())
        directory.rmdir()


def can_be_made() -> bool:
    """Whether this process may make a control group."""
    with memory_group(2**30) as group:
        return group is not None


def stand_in(directory: Path, limit_bytes: int) -> Sequence[str]:
    """How to start ``hantei`` beside a stand-in group in that directory."""
    directory.mkdir(exist_ok=True)
    return [sys.executable, "-c", STAND_IN, os.fspath(directory), str(limit_bytes)]
