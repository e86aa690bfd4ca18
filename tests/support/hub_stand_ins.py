"""Stand-ins on loopback for the Hugging Face Hub and for Google Cloud Storage: the few requests that reading and writing need."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from typing_extensions import override

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubStandIn:
    """What it holds and takes."""

    files: dict[str, bytes] = field(default_factory=dict)
    """By path in the one repository owner/name, or in the one bucket."""
    token: str = ""
    """Requests without it are answered 401."""
    statuses: list[int] = field(default_factory=list)
    """Answers to the next requests for content."""
    origin: str = ""
    requests: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: HubStandIn

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.state.requests.append(f"{self.command} {self.path}")
        path, query = unquote(urlsplit(self.path).path), parse_qs(urlsplit(self.path).query)
        if self.state.token and self.headers.get("Authorization") != f"Bearer {self.state.token}":
            self._send(401, b"{}")
        else:
            self.answer(path, query, body)

    def do_POST(self) -> None:
        self.do_GET()

    def do_HEAD(self) -> None:
        self.do_GET()

    def answer(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        raise NotImplementedError

    def content(self, name: str) -> None:
        if self.state.statuses:
            self._send(self.state.statuses.pop(0), b"{}")
        elif name not in self.state.files:
            self._send(404, b"{}")
        elif span := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            self._send(206, self.state.files[name][int(span[1]) : int(span[2]) + 1])
        else:
            self._send(200, self.state.files[name])

    def json(self, content: Any) -> None:
        self._send(200, json.dumps(content).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


class _HuggingFace(_Handler):
    @override
    def answer(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        root = "/api/models/owner/name"
        if path == f"{root}/revision/{COMMIT}":
            self.json({"id": "owner/name", "sha": COMMIT, "siblings": [], "tags": []})
        elif path.startswith(f"{root}/tree/{COMMIT}"):
            self.json(self._tree(path.removeprefix(f"{root}/tree/{COMMIT}").strip("/")))
        else:
            self.content(path.removeprefix(f"/owner/name/resolve/{COMMIT}/"))

    def _tree(self, folder: str) -> list[dict[str, Any]]:
        prefix = f"{folder}/" if folder else ""
        found: dict[str, dict[str, Any]] = {}
        for name, body in self.state.files.items():
            if not name.startswith(prefix):
                continue
            child, slash, _ = name.removeprefix(prefix).partition("/")
            oid = hashlib.sha1(body).hexdigest()
            entry = {"path": prefix + child, "oid": oid, "size": 0 if slash else len(body)}
            found[child] = entry | {"type": "directory" if slash else "file"}
        return list(found.values())


class _GoogleStorage(_Handler):
    @override
    def answer(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        bucket = "/b/bucket/o"
        if self.command == "POST":
            # multipart/related: a part with the object's name as JSON, a part with its content
            boundary = re.search(r"boundary=[\"']?([^\"';]+)", self.headers["Content-Type"])
            assert boundary is not None
            _, head, content, _ = body.split(b"--" + boundary[1].encode())
            name = json.loads(head.partition(b"\n\n")[2] or head.partition(b"\r\n\r\n")[2])["name"]
            self.state.files[name] = (
                re.split(rb"\r?\n\r?\n", content, maxsplit=1)[1].removesuffix(b"\n").removesuffix(b"\r")
            )
            self.json(self._object(name))
        elif "media" in query.get("alt", []):
            self.content(path.partition(f"{bucket}/")[2])
        elif path.endswith(bucket):
            prefix = query.get("prefix", [""])[0]
            self.json({"items": [self._object(name) for name in self.state.files if name.startswith(prefix)]})
        elif (name := path.partition(f"{bucket}/")[2]) in self.state.files:
            self.json(self._object(name))
        else:
            self._send(404, b"{}")

    def _object(self, name: str) -> dict[str, Any]:
        body = self.state.files[name]
        return {"kind": "storage#object", "name": name, "size": str(len(body)), "generation": str(abs(hash(body)))}


@contextmanager
def _served(handler: type[_Handler]) -> Iterator[HubStandIn]:
    state = HubStandIn()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"state": state})) as server:
        state.origin = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


def hugging_face_stand_in() -> AbstractContextManager[HubStandIn]:
    """For HF_ENDPOINT: the model owner/name at COMMIT."""
    return _served(_HuggingFace)


def google_storage_stand_in() -> AbstractContextManager[HubStandIn]:
    """For STORAGE_EMULATOR_HOST: the bucket named bucket."""
    return _served(_GoogleStorage)
