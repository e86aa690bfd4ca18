"""A process that plays the rules of some of a match's games: ``python -m hantei_evaluator.suites.shogi.worker``.

It is told what to do over a socket, shows positions in shared memory, and ends when its parent does: a socket whose other
end is gone, for whatever reason, reads as its end.
"""

import signal
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection

from hantei_evaluator.suites.shogi.positions import shared
from hantei_evaluator.suites.shogi.table import Step, Stepped, Table


def main(socket: int, memory: int, rows: int) -> None:
    """Serve one match; all arguments are the parent's."""
    # Ctrl-C goes to the whole group: whether it is the end is the parent's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, ConnectionError), Connection(socket) as connection:
        seats, settings = connection.recv()
        table = Table(shared(memory, rows), seats, settings)
        while True:
            step: Step = connection.recv()
            _answer(connection, table, step)


def _answer(connection: "Connection[Stepped | Exception, Step]", table: Table, step: Step) -> None:
    try:
        connection.send(table.step(step))
    except ConnectionError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is ends the match, there
        error.add_note(f"In a process that plays the rules:\n{traceback.format_exc()}")
        try:
            connection.send(error)
        except (TypeError, AttributeError, ValueError):
            connection.send(RuntimeError("".join(traceback.format_exception(error))))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
