"""/metrics, /status, /ready and /live, answered from a thread of their own while the suite loads and computes."""

import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from typing_extensions import override

from hantei_api.reasons import Reason
from hantei_evaluator.export.prometheus import registry_of
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.session import Phase, Session

CLIENT_TIMEOUT_SECONDS = 5
logger = logging.getLogger(__name__)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    @override
    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


@contextmanager
def serve(session: Session, port: int) -> Iterator[int]:
    """Serve on all addresses, IPv6 too where there is any; yields the port (0 asks for a free one)."""
    try:
        server = _listen(port, _handler_of(session))
    except OSError as error:
        raise EvaluationError(Reason.EVALUATOR_ERROR, f"Port {port} can't be served: {error.strerror}.") from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.5}, name="server", daemon=True)
    thread.start()
    logger.info("Serving /metrics, /status, /ready and /live on port %d", server.server_port)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _listen(port: int, handler: type[BaseHTTPRequestHandler]) -> _Server:
    if socket.has_dualstack_ipv6():
        dual = type("_DualStackServer", (_Server,), {"address_family": socket.AF_INET6})
        server: _Server = dual(("::", port), handler)
        return server
    return _Server(("", port), handler)


def _handler_of(session: Session) -> type[BaseHTTPRequestHandler]:
    registry = registry_of(session)

    class Handler(BaseHTTPRequestHandler):
        timeout = CLIENT_TIMEOUT_SECONDS

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/metrics":
                    self._answer(HTTPStatus.OK, generate_latest(registry), CONTENT_TYPE_LATEST)
                case "/status":
                    self._answer(HTTPStatus.OK, json.dumps(status_of(session)).encode(), "application/json")
                case "/ready":
                    ready = session.phase is not Phase.LOADING
                    self._say(ready, "ready" if ready else "loading")
                case "/live":
                    stalled = session.stalled
                    self._say(
                        not stalled, f"no progress for {session.progress.silent_seconds():.0f} s" if stalled else "live"
                    )
                case _:
                    self._answer(HTTPStatus.NOT_FOUND, b"/metrics, /status, /ready, /live\n", "text/plain")

        def _say(self, good: bool, text: str) -> None:  # noqa: FBT001  # private, two lines above
            code = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(code, f"{text}\n".encode(), "text/plain")

        def _answer(self, code: HTTPStatus, body: bytes, content_type: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Probes every few seconds are no news."""

    return Handler


def status_of(session: Session) -> dict[str, Any]:
    """The body of /status: the run's progress as in its status, the phase and what computes."""
    remaining = session.deadline.remaining_seconds()
    return {
        **session.progress.snapshot().to_body(),
        "phase": session.phase.value,
        "remainingSeconds": None if remaining == float("inf") else round(remaining, 1),
        "device": session.device.name if session.device else None,
        "run": session.task.run.name,
        "attempt": session.task.run.attempt,
    }
