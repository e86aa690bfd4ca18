"""Evaluations for EvaluationPerformanceManager; at the top of a module, because they go to a process of their own."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError


def add(left: int, right: int) -> int:
    return left + right


async def add_later(left: int, right: int) -> int:
    await asyncio.sleep(0)
    return left + right


class Evaluator:
    """As Keisei's evaluators are."""

    async def evaluate(self, agent: str, context: str) -> str:
        await asyncio.sleep(0)
        return f"{agent} in {context}"


async def never_suspends() -> None:
    while True:
        time.sleep(0.01)  # noqa: ASYNC251  # what asyncio.wait_for can't end


def leaves_a_daemon(pids: Path) -> None:
    """Start a grandchild in a session of its own, which ignores SIGTERM, and go on for ever."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    daemon = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    (pids / "new").write_text(f"{os.getpid()} {daemon.pid}")
    (pids / "new").replace(pids / "pids")
    time.sleep(600)


def fails(checkpoint: str) -> None:
    raise EvaluationError(Reason.CHECKPOINT_INVALID, f"{checkpoint}: no weights")


def exits() -> None:
    sys.exit(3)


def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def returns_a_lock() -> object:
    return (lambda: None).__code__


def stamps(seconds: float) -> tuple[float, float]:
    """When it began and ended, on a clock that processes share."""
    began = time.monotonic()
    time.sleep(seconds)
    return began, time.monotonic()


def allocates(size_bytes: int) -> int:
    """Fill that much memory, and hold it until it was looked at."""
    block = b"x" * size_bytes
    time.sleep(0.8)
    return len(block)


def computes(seconds: float) -> int:
    """Keep a core busy."""
    end, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        sum(range(1000))
        rounds += 1
    return rounds
