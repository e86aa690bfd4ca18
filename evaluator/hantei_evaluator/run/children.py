"""No child process outlives the evaluation."""

import ctypes
import logging
import os
import signal
from contextlib import suppress

import psutil

_PR_SET_CHILD_SUBREAPER = 36
logger = logging.getLogger(__name__)


def adopt_orphans() -> None:
    """Let descendants whose parent ends become our children, so that a daemon can't slip away (Linux, prctl(2))."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_descendants() -> None:
    """SIGKILL every descendant of this process, and reap it."""
    psutil.wait_procs(strike_descendants(), timeout=1.0)


def strike_descendants() -> list[psutil.Process]:
    """SIGKILL every descendant of this process, and leave it to whoever started it to wait for it."""
    descendants = psutil.Process().children(recursive=True)
    for process in descendants:
        with suppress(psutil.Error):
            process.kill()
    return descendants


def kill_tree(pid: int) -> None:
    """SIGKILL a child of this process and all its descendants, the deepest first; it is left to be waited for.

    It is stopped before, so that it starts no others meanwhile.
    """
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        process.suspend()
        for descendant in reversed(process.children(recursive=True)):
            with suppress(psutil.Error):
                descendant.kill()
        process.kill()


def signal_group(process_group: int, signum: signal.Signals) -> None:
    """Send a signal to a whole process group that may be gone already."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process_group, signum)
