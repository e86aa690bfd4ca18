"""Where a URI leads: a filesystem of fsspec with time-outs set, read onwards from any byte."""

import json
import os
import re
import time
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from typing_extensions import override

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.troubles import ShortReadError, scrub, without_credentials

CONNECT_SECONDS = 10
READ_SECONDS = 20
"""Without a single byte for this long, the connection counts as cut."""
PIECE_SECONDS = 60
"""One request for a piece, whatever the client does inside."""
PIECE_BYTES = 8 << 20
SMALLEST_PIECE_BYTES = 64 << 10
MAX_FILES = 100_000

_COMMIT = re.compile(r"[0-9a-f]{40}")
_HF_REPOSITORY = re.compile(r"hf://(?:(?:datasets|spaces|models)/)?[^/@]+/[^/@]+(?:@([^/]+))?(?:/|$)")


class Version(NamedTuple):
    """What tells one content of a file from another."""

    size_bytes: int | None
    tag: str
    """ETag, generation or time of writing; empty when the server gives none."""


class Source(Protocol):
    """One filesystem, reading one file at a time."""

    position: int
    """The byte that ``read`` gives next; after ``open`` it may be 0 when the server can't begin elsewhere."""

    def is_folder(self, path: str) -> bool:
        """Whether files lie below the path; raises what the client raises when nothing is there."""

    def files(self, path: str) -> dict[str, int]:
        """Sizes in bytes of all files below the folder, by their path relative to it."""

    def open(self, path: str, offset: int) -> Version:
        """Begin to read at that byte."""

    def read(self) -> bytes:
        """The next bytes, empty at the end; raises when the answer was cut."""

    def unchanged(self, version: Version) -> bool:
        """Whether the file that was opened still is the one that was read."""

    def close(self) -> None:
        """Let go of connections."""


def connect(what: str, uri: str) -> tuple[Source, str]:
    """The source of an fsspec URI and the path in it.

    Raises InvalidTask for a URI that can't be opened in this image, or that names an hf repository without a commit.
    """
    import fsspec  # noqa: PLC0415  # only for a URI

    shown, scheme = without_credentials(uri), urlsplit(uri).scheme
    if "::" in uri:
        raise EvaluationError(Reason.INVALID_TASK, f"{what}: {shown} chains filesystems; name the file itself.")
    if scheme == "hf":
        _refuse_unpinned(what, uri)
    try:
        filesystem, path = fsspec.core.url_to_fs(uri, **options(scheme))
    except (ImportError, ValueError) as error:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{what}: the image can't open {shown}: {scrub(str(error))}. Install the filesystem in the image, "
            "or name a file by s3, gs, https, hf or file.",
        ) from error
    if scheme in {"http", "https"}:
        return HttpSource(filesystem), path
    return FilesystemSource(filesystem), path


def options(scheme: str) -> dict[str, Any]:
    """Arguments of the scheme's filesystem: time-outs, credentials, and no retries below ours."""
    # A filesystem that fsspec keeps would answer from its listings, and share a broken connection.
    common: dict[str, Any] = {"skip_instance_cache": True}
    match scheme:
        case "http" | "https":
            import aiohttp  # noqa: PLC0415  # only for such a URI

            token = os.environ.get("HANTEI_HTTPS_TOKEN") if scheme == "https" else None
            client = {
                # Through the environment's proxy, as every other client of the image.
                "trust_env": True,
                "timeout": aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS),
                "headers": {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {}),
            }
            return common | {"client_kwargs": client}
        case "s3" | "s3a":
            timeouts = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS}
            return common | {"config_kwargs": timeouts | {"retries": {"total_max_attempts": 1}}}
        case "gs" | "gcs":
            service_account = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS_JSON")
            return common | ({"token": json.loads(service_account)} if service_account else {})
        case _:
            return common


def bounded(filesystem: Any, name: str, *arguments: Any, timeout_seconds: float, **more: Any) -> Any:
    """Call a filesystem's method, for no longer than that where the filesystem is asynchronous (s3, gs)."""
    if not filesystem.async_impl:
        return getattr(filesystem, name)(*arguments, **more)
    from fsspec.asyn import sync  # noqa: PLC0415  # only for a URI

    return sync(filesystem.loop, getattr(filesystem, f"_{name}"), *arguments, timeout=timeout_seconds, **more)


class FilesystemSource(Source):
    """Any filesystem of fsspec, by range reads. A piece that fails is asked for again smaller."""

    def __init__(self, filesystem: Any) -> None:
        if hasattr(filesystem, "retries"):
            filesystem.retries = 1  # s3fs would try five times inside each of our tries
        self._filesystem = filesystem
        self._path = ""
        self._size_bytes = 0
        self._piece_bytes = PIECE_BYTES
        self.position = 0

    @override
    def is_folder(self, path: str) -> bool:
        """Whether files lie below the path."""
        try:
            return str(self._info(path)["type"]) == "directory"
        except PermissionError:
            # S3 answers HEAD without a word; GET says whether the key, its signature or its right is wrong.
            bounded(self._filesystem, "cat_file", path, start=0, end=1, timeout_seconds=PIECE_SECONDS)
            raise

    @override
    def files(self, path: str) -> dict[str, int]:
        """Sizes in bytes of all files below the folder, by their path relative to it."""
        found = bounded(self._filesystem, "find", path, detail=True, timeout_seconds=PIECE_SECONDS)
        root = path.rstrip("/") + "/"
        # An object store's own marker of a folder is an empty object whose name ends with a slash.
        return {
            name.removeprefix(root): int(info["size"] or 0)
            for name, info in found.items()
            if not name.endswith("/") and info["type"] != "directory"
        }

    @override
    def open(self, path: str, offset: int) -> Version:
        """Begin to read at that byte."""
        version = self._version(path)
        self._path, self.position = path, offset
        self._size_bytes = version.size_bytes or 0
        return version

    @override
    def read(self) -> bytes:
        """The next bytes, empty at the end."""
        end = min(self.position + self._piece_bytes, self._size_bytes)
        if self.position >= end:
            return b""
        try:
            piece: bytes = bounded(
                self._filesystem,
                "cat_file",
                self._path,
                start=self.position,
                end=end,
                timeout_seconds=PIECE_SECONDS,
            )
        except Exception:
            self._piece_bytes = max(self._piece_bytes // 4, SMALLEST_PIECE_BYTES)
            raise
        if not piece:
            raise ShortReadError(f"the server gave nothing for bytes {self.position} to {end}")
        self._piece_bytes = min(self._piece_bytes * 2, PIECE_BYTES)
        self.position += len(piece)
        return piece

    @override
    def unchanged(self, version: Version) -> bool:
        """Whether the file that was opened still is the one that was read."""
        return self._version(self._path) == version

    @override
    def close(self) -> None:
        """Nothing: fsspec closes a filesystem's connections with it."""

    def _version(self, path: str) -> Version:
        info = self._info(path)
        if info["type"] != "file":
            raise FileNotFoundError(f"no file but a {info['type']} is there")
        tags = [str(info[key]) for key in ("ETag", "generation", "blob_id", "mtime", "ino") if info.get(key)]
        return Version(int(info["size"]), " ".join(tags))

    def _info(self, path: str) -> Any:
        self._filesystem.invalidate_cache()
        return bounded(self._filesystem, "info", path, timeout_seconds=PIECE_SECONDS)


class HttpSource(Source):
    """A web server: one response read to its end, or continued by a Range request where the server knows them."""

    def __init__(self, filesystem: Any) -> None:
        from fsspec.asyn import sync  # noqa: PLC0415  # only for a URI

        self._filesystem = filesystem
        self._sync = sync
        self._session = sync(filesystem.loop, filesystem.set_session)
        self._response: Any = None
        self.position = 0

    @override
    def is_folder(self, path: str) -> bool:
        """Never: HTTP has no folders."""
        return False

    @override
    def files(self, path: str) -> dict[str, int]:
        """Nothing: HTTP has no listing."""
        return {}

    @override
    def open(self, path: str, offset: int) -> Version:
        """Begin to read at that byte, or at the first when the server can't."""
        self._let_go()
        return Version(*self._call(self._open, path, offset))

    @override
    def read(self) -> bytes:
        """The next bytes, empty at the end."""
        piece: bytes = self._call(self._read)
        self.position += len(piece)
        return piece

    @override
    def unchanged(self, version: Version) -> bool:
        """True: one response is of one content, and each is compared when it is opened."""
        return True

    @override
    def close(self) -> None:
        """Let go of connections."""
        self._let_go()
        self._filesystem.close_session(self._filesystem.loop, self._session)

    def _call(self, function: Any, *arguments: Any) -> Any:
        return self._sync(self._filesystem.loop, function, *arguments, timeout=PIECE_SECONDS)

    async def _open(self, path: str, offset: int) -> tuple[int | None, str]:
        from yarl import URL  # noqa: PLC0415  # aiohttp's own

        headers = {"Range": f"bytes={offset}-"} if offset else {}
        # Encoding it again would break a signature.
        response = await self._session.get(URL(path, encoded=path.isascii()), headers=headers)
        try:
            if response.status == 416 and offset:
                # Shorter than what was read: another content.
                response.close()
                return await self._open(path, 0)
            response.raise_for_status()
        except BaseException:
            response.close()
            raise
        self._response = response
        length = response.headers.get("Content-Length")
        size = int(length) if length is not None else None
        self.position = 0
        if response.status == 206:
            # bytes FIRST-LAST/TOTAL
            first, total = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers["Content-Range"]).groups()  # type: ignore[union-attr]
            self.position, size = int(first), int(total) if total != "*" else None
        return size, response.headers.get("ETag") or response.headers.get("Last-Modified") or ""

    async def _read(self) -> bytes:
        """A piece as large as comes within the time; what came before a cut is kept."""
        found = bytearray()
        end = time.monotonic() + READ_SECONDS
        try:
            while len(found) < PIECE_BYTES and time.monotonic() < end:
                part = await self._response.content.read(PIECE_BYTES)
                if not part:
                    break
                found += part
        except Exception:
            if not found:
                raise
        return bytes(found)

    def _let_go(self) -> None:
        if self._response is not None:
            self._filesystem.loop.call_soon_threadsafe(self._response.close)
            self._response = None


def _refuse_unpinned(what: str, uri: str) -> None:
    found = _HF_REPOSITORY.match(uri)
    if found is None:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{what}: {without_credentials(uri)} is no hf URI: write hf://OWNER/NAME@COMMIT/PATH, "
            "or hf://datasets/OWNER/NAME@COMMIT/PATH.",
        )
    if not _COMMIT.fullmatch(found[1] or ""):
        named = f"names the revision {found[1]}, which can move" if found[1] else "names no revision"
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{what}: {uri} {named}: pin it with the commit's 40 hex digits, hf://OWNER/NAME@COMMIT/PATH "
            "(the Hub shows them under Files, History).",
        )
