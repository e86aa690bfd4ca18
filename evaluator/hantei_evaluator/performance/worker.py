"""The child process that an evaluation runs in, so that a loop which never gives way can still be ended."""

import asyncio
import inspect
import os
import pickle
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from hantei_evaluator.performance.monitor import ResourceMonitor, ResourceReadings
from hantei_evaluator.run.children import adopt_orphans, kill_descendants

Job = tuple[Callable[..., Any], tuple[Any, ...], str | None]
"""What to call, with what, and the UUID of the GPU to watch."""


@dataclass(frozen=True)
class Answer:
    """What the child hands back, once."""

    value: Any = None
    error: Exception | None = None
    latency_seconds: float = 0.0
    resources: ResourceReadings | None = None


def main(job: Job, answers: Connection, alive: Connection) -> None:
    """Evaluate, answer, and leave nothing running."""
    os.setsid()
    adopt_orphans()
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    answer = _evaluate(*job)
    kill_descendants()
    try:
        answers.send(answer)
    except Exception as error:  # noqa: BLE001  # pickling runs the value's own code
        answers.send(Answer(error=TypeError(f"The evaluation's result can't be handed over by pickle: {error}")))
    answers.close()


def _evaluate(evaluate: Callable[..., Any], arguments: tuple[Any, ...], gpu_uuid: str | None) -> Answer:
    with ResourceMonitor(gpu_uuid) as monitor:
        started = time.monotonic()
        try:
            value = evaluate(*arguments)
            if inspect.isawaitable(value):
                value = asyncio.run(_finish(value))
        except BaseException as error:  # noqa: BLE001  # the parent raises it
            return Answer(error=_portable(error))
        latency_seconds = time.monotonic() - started
    return Answer(value=value, latency_seconds=latency_seconds, resources=monitor.readings())


async def _finish(value: Any) -> Any:
    return await value


def _portable(error: BaseException) -> Exception:
    """The error with its traceback as a note; in words, when it would end the parent or does not survive pickling."""
    text = "".join(traceback.format_exception(error))
    portable: Exception | None = None
    with suppress(Exception):
        portable = pickle.loads(pickle.dumps(error)) if isinstance(error, Exception) else None  # noqa: S301  # our own
    if portable is None:
        portable = RuntimeError(f"{type(error).__name__}: {error}")
    portable.add_note(text)
    return portable


def _end_with_parent(alive: Connection) -> None:
    """The pipe ends when the parent does, however it does."""
    with suppress(EOFError, OSError):
        alive.recv_bytes()
    kill_descendants()
    os._exit(1)
