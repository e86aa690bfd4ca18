"""Ends an evaluation that does not end by itself: a forward pass that hangs, a child that won't go, a stalled loop."""

import faulthandler
import logging
import os
import select
import signal
import socket
import tempfile
import threading
import time

from typing_extensions import override

from hantei_api.reasons import Reason
from hantei_evaluator.run.children import kill_descendants, strike_descendants
from hantei_evaluator.run.finish import Finisher
from hantei_evaluator.run.memory import Level
from hantei_evaluator.run.session import Ending, Phase, Session
from hantei_evaluator.run.verdict import interrupted

OVERRUN_SECONDS = 3.0
"""A loop that was told to stop has this long to come back; the grace period of 5 s covers it and the flush."""
FREED_SECONDS = 0.2
"""Between killing the children that fill the memory, and ending the evaluation because that was not enough."""
_TICK_SECONDS = 0.2
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
logger = logging.getLogger(__name__)


class SignalPipe:
    """SIGTERM and SIGINT as bytes on a socket: readable at once, even while the main thread is inside C code."""

    def __init__(self) -> None:
        self.receiver, self._sender = socket.socketpair()
        self.receiver.settimeout(0)
        self._sender.settimeout(0)
        signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        for signum in _STOP_SIGNALS:
            signal.signal(signum, lambda _signum, _frame: None)
        os.register_at_fork(after_in_child=_forget_handlers)

    def received(self, timeout_seconds: float) -> bool:
        """Wait, and tell whether a stop signal came."""
        readable, _, _ = select.select([self.receiver], [], [], timeout_seconds)
        return bool(readable) and any(signum in _STOP_SIGNALS for signum in self.receiver.recv(64))


class Watchdog(threading.Thread):
    """Watches the deadline, the stop signals, the memory limit, the stall clock and publishing."""

    def __init__(self, session: Session, finisher: Finisher, signals: SignalPipe) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._session = session
        self._finisher = finisher
        self._signals = signals
        self._children_killed: float | None = None

    @override
    def run(self) -> None:
        """Watch until the process ends."""
        while True:
            try:
                self._watch()
            except Exception:
                # Without this thread no time-out would strike any more; what is wrong may pass (no file descriptor left).
                logger.exception("The watchdog failed and goes on")
                time.sleep(_TICK_SECONDS)

    def _watch(self) -> None:
        if self._signals.received(self._tick_seconds()):
            self._session.deadline.signal()
        if self._session.phase is Phase.PUBLISHING:
            self._watch_publishing()
        elif not self._watch_memory():
            self._watch_evaluation()

    def _tick_seconds(self) -> float:
        memory = self._session.memory_limit
        if memory is None or self._session.phase is Phase.PUBLISHING:
            return _TICK_SECONDS
        return memory.poll_seconds

    def _watch_memory(self) -> bool:
        """Stop the loop before the OOM killer stops everything; whether the evaluation was ended."""
        session, memory = self._session, self._session.memory_limit
        if memory is None or (level := memory.level) is Level.FREE:
            return False
        session.deadline.stop(Reason.MEMORY_LIMIT_REACHED, memory.describe())
        if level is not Level.CRITICAL:
            return False
        if self._children_killed is None:
            self._children_killed = time.monotonic()
            if strike_descendants():
                return False
        elif time.monotonic() - self._children_killed < FREED_SECONDS:
            return False
        message = f"{session.deadline.describe()} Too little was left to wait for its loop, so that only its samples are kept."
        self._end(Ending(reason=session.deadline.reason(), message=message))
        return True

    def _watch_evaluation(self) -> None:
        session, deadline = self._session, self._session.deadline
        # While loading there is nothing to hand over, and the suite does not ask.
        patience = 0.0 if session.phase is Phase.LOADING else OVERRUN_SECONDS
        if deadline.requested() and deadline.overrun_seconds() >= patience:
            message = deadline.describe()
            if session.phase is Phase.LOADING:
                message += " It was still loading."
            elif not session.stall_applies:
                message += " Its processes were killed."
            else:
                message += (
                    f" Its loop did not come back within {OVERRUN_SECONDS:g} s, so that only its samples are kept."
                )
            self._end(Ending(reason=deadline.reason(), message=message))
        elif session.stalled:
            logger.error("Stacks of all threads, the main thread's last:\n%s", _stacks())
            limit = session.task.limits.stall_seconds
            self._end(
                Ending(
                    reason=Reason.HUNG,
                    message=f"No progress for more than stallSeconds ({limit:g} s), at {session.progress.snapshot().text} samples. "
                    "The stacks are in the log tail.",
                )
            )

    def _end(self, ending: Ending) -> None:
        """Publish from another thread, so that this one can cut it short."""
        session = self._session
        if not session.try_claim_end():
            return
        ending = interrupted(ending, session.evaluated, session.task)
        threading.Thread(target=self._publish_and_exit, args=(ending,), name="finish", daemon=True).start()

    def _publish_and_exit(self, ending: Ending) -> None:
        self._session.freeze_readings()
        kill_descendants()
        exit_now(self._finisher.finish(self._session.enforce_sla(ending)))

    def _watch_publishing(self) -> None:
        session = self._session
        if time.monotonic() >= session.deadline.publish_end(session.publish_started):
            kill_descendants()
            unknown = Ending(Reason.EVALUATOR_ERROR, "Publishing did not begin in time.")
            exit_now(self._finisher.give_up(unknown))


def exit_now(code: int) -> None:
    """End the process, whatever threads still run."""
    logging.shutdown()
    os._exit(code)


def _stacks() -> str:
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        stacks = file.read().split("\n\n")
    main = f"0x{threading.main_thread().ident:016x}"
    return "\n\n".join(sorted(stacks, key=lambda stack: main in stack.partition("\n")[0]))


def _forget_handlers() -> None:
    """A forked worker that is terminated must not look like our own end."""
    signal.set_wakeup_fd(-1)
    for signum in _STOP_SIGNALS:
        signal.signal(signum, signal.SIG_DFL)
