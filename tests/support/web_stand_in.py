"""A stand-in for a web server on loopback, over http or https: with or without ranges, sizes and ETags, and broken at will."""

import datetime as dt
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typing_extensions import override


@dataclass
class WebStandIn:
    """What it answers; all fields may be changed while it runs."""

    files: dict[str, bytes] = field(default_factory=dict)
    """By path, with the leading slash and without a query."""
    origin: str = ""
    """http://127.0.0.1:PORT"""
    ranges: bool = True
    sizes: bool = True
    """Without sizes the answer is chunked."""
    cut_after_bytes: int | None = None
    cuts: int = -1
    statuses: list[int] = field(default_factory=list)
    """Answers to the next requests."""
    bearer: str = ""
    """Requests without this token are answered 401."""
    replaced_by: bytes | None = None
    """After the next cut, every file is this."""
    requests: list[str] = field(default_factory=list)
    """PATH RANGE of every request."""


class _Handler(BaseHTTPRequestHandler):
    state: WebStandIn
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.state.requests.append(f"{self.path} {wanted}".rstrip())
        path = self.path.partition("?")[0]
        if self.state.bearer and self.headers.get("Authorization") != f"Bearer {self.state.bearer}":
            return self._empty(401)
        if self.state.statuses:
            return self._empty(self.state.statuses.pop(0))
        if path not in self.state.files:
            return self._empty(404)
        return self._send(self.state.files[path], re.fullmatch(r"bytes=(\d+)-", wanted))

    def _send(self, body: bytes, span: re.Match[str] | None) -> None:
        first = int(span[1]) if span and self.state.ranges else 0
        if first > len(body):
            return self._empty(416)
        self.send_response(206 if span and self.state.ranges else 200)
        self.send_header("ETag", f'"{hash(body)}"')
        if span and self.state.ranges:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self.send_header(
            *(("Content-Length", str(len(body) - first)) if self.state.sizes else ("Transfer-Encoding", "chunked"))
        )
        self.end_headers()
        part, cut = body[first:], False
        if self.state.cut_after_bytes is not None and self.state.cuts and len(part) > self.state.cut_after_bytes:
            self.state.cuts -= 1
            part, cut = part[: self.state.cut_after_bytes], True
            if self.state.replaced_by is not None:
                self.state.files = dict.fromkeys(self.state.files, self.state.replaced_by)
        with suppress(OSError):
            self.wfile.write(part if self.state.sizes else b"%x\r\n%s\r\n" % (len(part), part))
            if not self.state.sizes and not cut:
                self.wfile.write(b"0\r\n\r\n")
        self.close_connection = cut
        return None

    def _empty(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def web_stand_in(authority: Path | None = None) -> Iterator[WebStandIn]:
    """Serve in a thread: over https when a file is named, which then takes the certificate to trust."""
    state = WebStandIn()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state})) as server:
        state.origin = f"http://127.0.0.1:{server.server_port}"
        if authority is not None:
            state.origin = state.origin.replace("http", "https")
            server.socket = _with_tls(server.socket, authority)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


def _with_tls(plain: socket.socket, authority: Path) -> ssl.SSLSocket:
    """The socket behind a certificate of its own for 127.0.0.1, which is written to the file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    authority.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    return context.wrap_socket(plain, server_side=True)
