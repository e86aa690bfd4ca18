"""A TCP proxy on loopback that breaks what passes through it: cuts answers, swallows them, answers 503 itself."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_BUFFER_BYTES = 1 << 16
_REQUEST = re.compile(rb"^(GET|HEAD|PUT|POST|DELETE) (\S+) HTTP/1\.1\r\n", re.MULTILINE)
_RANGE = re.compile(rb"^range: (\S+)\r\n", re.MULTILINE | re.IGNORECASE)


@dataclass
class FaultyProxy:
    """What is broken next; all fields may be changed while it runs."""

    upstream_port: int
    port: int = 0
    cut_after_bytes: int | None = None
    """Answers longer than this are cut there."""
    cuts: int = -1
    """How many answers are cut; -1: all."""
    only: str = ""
    """Regular expression: requests that match METHOD PATH are broken, the others pass."""
    statuses: list[int] = field(default_factory=list)
    """Answers to the next requests, which don't reach the server."""
    silent: bool = False
    """Requests are taken and never answered."""
    on_cut: Callable[[], object] = lambda: None
    """Called before each cut."""
    on_request: Callable[[], object] = lambda: None
    """Called before a request that ``only`` matches is passed on."""
    requests: list[str] = field(default_factory=list)
    """METHOD PATH RANGE of every request."""
    answered_bytes: int = 0

    def serve(self, client: socket.socket) -> None:
        """One connection, until either side closes it."""
        with client, socket.create_connection(("127.0.0.1", self.upstream_port)) as upstream:
            answer = threading.Thread(target=self._answers, args=(client, upstream), daemon=True)
            self._current[client.fileno()] = [0, False]
            answer.start()
            with suppress(OSError):
                while data := client.recv(_BUFFER_BYTES):
                    if not self._swallowed(client, data):
                        upstream.sendall(data)
            with suppress(OSError):
                upstream.shutdown(socket.SHUT_RDWR)
            answer.join()

    def __post_init__(self) -> None:
        self._current: dict[int, list[int | bool]] = {}

    def _swallowed(self, client: socket.socket, data: bytes) -> bool:
        found = _REQUEST.search(data)
        if found is None:
            return self.silent
        request = f"{found[1].decode()} {found[2].decode()}"
        span = _RANGE.search(data)
        self.requests.append(f"{request} {span[1].decode()}" if span else request)
        broken = re.search(self.only, request) is not None
        self._current[client.fileno()] = [0, broken]
        if not broken:
            return False
        self.on_request()
        if self.statuses:
            client.sendall(f"HTTP/1.1 {self.statuses.pop(0)} Broken\r\nContent-Length: 0\r\n\r\n".encode())
            return True
        return self.silent

    def _answers(self, client: socket.socket, upstream: socket.socket) -> None:
        with suppress(OSError):
            while data := upstream.recv(_BUFFER_BYTES):
                passed, broken = self._current[client.fileno()]
                limit = self.cut_after_bytes
                if broken and limit is not None and self.cuts and passed + len(data) > limit:
                    self.cuts -= 1
                    client.sendall(data[: max(limit - passed, 0)])
                    self.answered_bytes += max(limit - passed, 0)
                    self.on_cut()
                    break
                self._current[client.fileno()][0] = passed + len(data)
                self.answered_bytes += len(data)
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


@contextmanager
def faulty_proxy(upstream_port: int) -> Iterator[FaultyProxy]:
    """A proxy in front of that port of loopback, in threads of this process."""
    proxy = FaultyProxy(upstream_port)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy.port = listener.getsockname()[1]

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=proxy.serve, args=(client,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield proxy
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
