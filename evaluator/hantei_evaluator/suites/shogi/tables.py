"""The tables of a match: one in this process, or one in each of several processes beside it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Final, Protocol

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi.games import Settings
from hantei_evaluator.suites.shogi.positions import Positions, in_memory, shared, shared_memory
from hantei_evaluator.suites.shogi.table import Seat, Step, Stepped, Table

MOST_WORKERS: Final = 6
CORES_PER_WORKER_ON_CPU: Final = 4
"""One core's rules keep up with about this many cores' forward passes of the smallest networks."""
_END_SECONDS: Final = 2.0


class TableHandle(Protocol):
    """Where steps are sent and their outcome comes from."""

    rows: Sequence[int]
    busy: bool
    """Whether a step was sent whose outcome was not received."""

    def send(self, step: Step) -> None:
        """Begin a step, when none is under way."""

    def receive(self) -> Stepped:
        """Wait for the step's outcome; raises what the step raised."""

    def ready(self) -> bool:
        """Whether ``receive`` returns at once."""


def workers_for(cpus: int, *, gpu: bool) -> int:
    """How many processes play the rules beside this one, 0 for none: this process needs a core for the forward passes."""
    if cpus < 2:
        return 0
    return min(cpus - 1 if gpu else max(1, cpus // CORES_PER_WORKER_ON_CPU), MOST_WORKERS)


@contextmanager
def open_tables(
    seats: Mapping[str, Seat], settings: Settings, *, rows: int, workers: int
) -> Iterator[tuple[Positions, list[TableHandle]]]:
    """The tables, which share the rows, and the arrays that they show their positions in.

    Without workers one table plays in this process. On leaving, no process and no memory is left.
    """
    if workers == 0:
        positions = in_memory(rows)
        yield positions, [LocalTable(Table(positions, seats, settings), range(rows))]
        return
    with ExitStack() as stack:
        memory = shared_memory(rows)
        stack.callback(os.close, memory)
        tables: list[TableHandle] = []
        for worker in range(min(workers, rows)):
            table = WorkerTable(memory, rows, range(worker, rows, workers))
            stack.callback(table.close)
            tables.append(table)
            table.begin(seats, settings)
        yield shared(memory, rows), tables


class LocalTable:
    """A table in this process."""

    def __init__(self, table: Table, rows: Sequence[int]) -> None:
        self.rows = rows
        self.busy = False
        self._table = table
        self._stepped: Stepped | None = None

    def send(self, step: Step) -> None:
        """Play the step."""
        self.busy = True
        self._stepped = self._table.step(step)

    def receive(self) -> Stepped:
        """What came of it."""
        if self._stepped is None:
            raise RuntimeError("send() comes before receive()")
        self.busy = False
        return self._stepped

    def ready(self) -> bool:
        """Always: ``send`` played the step."""
        return self.busy


class WorkerTable:
    """A table in a process of its own."""

    def __init__(self, memory: int, all_rows: int, rows: Sequence[int]) -> None:
        self.rows = rows
        self.busy = False
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "hantei_evaluator.suites.shogi.worker"]
            self._process = subprocess.Popen(  # noqa: S603  # our own module
                [*command, str(theirs.fileno()), str(memory), str(all_rows)],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), memory),
                # The arrays are too small for threads of a linear algebra library.
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        self.connection: Connection = Connection(ours.detach())

    def begin(self, seats: Mapping[str, Seat], settings: Settings) -> None:
        """Say who plays."""
        self._send((dict(seats), settings))

    def send(self, step: Step) -> None:
        """Begin the step there."""
        self.busy = True
        self._send(step)

    def receive(self) -> Stepped:
        """Wait for what came of it."""
        try:
            answer = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._lost() from error
        self.busy = False
        if isinstance(answer, Exception):
            raise answer
        stepped: Stepped = answer
        return stepped

    def ready(self) -> bool:
        """Whether it has answered, or died."""
        return self.busy and self.connection.poll()

    def close(self) -> None:
        """End it, and wait for that."""
        self.connection.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, message: object) -> None:
        try:
            self.connection.send(message)
        except ConnectionError as error:
            raise self._lost() from error

    def _lost(self) -> EvaluationError:
        code: int | None = None
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(_END_SECONDS)
        return EvaluationError(
            Reason.EVALUATOR_ERROR,
            f"A process that plays the rules ended (exit code {code}; -9 is what the kernel does when memory is short: "
            "raise spec.resources.memory). Its games are lost.",
        )


def wait_for_any(tables: Sequence[TableHandle], timeout_seconds: float) -> None:
    """Until a busy table is ready, or the time is over."""
    busy = [table.connection for table in tables if isinstance(table, WorkerTable) and table.busy]
    if busy:
        wait(busy, timeout_seconds)
