"""kopf in a thread of its own: it cancels every task of the loop it runs on when it ends."""

import asyncio
import logging
import threading
from collections.abc import Callable

import kopf

from hantei_operator.handlers.runs import Wake, registry

logger = logging.getLogger(__name__)


def kopf_settings() -> kopf.OperatorSettings:
    """Settings for kopf 1.45: why each differs from the default stands beside it."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True  # leadership is a Lease: equal priorities in peering freeze all operators
    settings.scanning.disabled = True  # no watch on namespaces and CRDs, so no right to them
    settings.queueing.worker_limit = None  # a limit caps new objects at limit / idle_timeout a second
    settings.queueing.idle_timeout = 1.0  # a worker a run for 5 s is memory for nothing
    settings.watching.server_timeout = 300  # belt and braces beside the inactivity timeout of 70 s
    settings.watching.connect_timeout = 10
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 30  # 300 s is far too long for a control loop
    settings.watching.chunk_size = 500
    settings.posting.enabled = False  # Events are ours: one for each transition
    settings.execution.max_workers = 1  # there is no synchronous handler
    settings.process.ultimate_exiting_timeout = 10  # below the pod's termination grace
    return settings


class KopfThread:
    """Runs kopf until stopped; calls ``ended`` when it ends for any reason."""

    def __init__(self, wake: Wake, namespaces: list[str], ended: Callable[[BaseException | None], None]) -> None:
        self._wake, self._namespaces, self._ended = wake, namespaces, ended
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Ask kopf to end, and wait for it."""
        self._stop.set()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            asyncio.run(
                kopf.operator(
                    registry=registry(self._wake),
                    settings=kopf_settings(),
                    standalone=True,
                    clusterwide=not self._namespaces,
                    namespaces=self._namespaces,
                    stop_flag=self._stop,
                )
            )
        except Exception as caught:  # the process ends with it: see main
            logger.exception("kopf ended")
            error = caught
        if not self._stop.is_set():
            self._ended(error)
