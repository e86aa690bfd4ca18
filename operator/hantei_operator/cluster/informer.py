"""What is on the cluster, followed without gaps: a consistent list, then a watch from there, and again when it breaks.

A thread for each stream reads and reduces; the store is changed on the event loop alone, so whoever reads it there sees
one state.
"""

import asyncio
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import urllib3

from hantei_operator.cluster.errors import ApiError, Gone, Unavailable, error_of
from hantei_operator.cluster.store import Entry, Key, OnChange, Store, entry_of
from hantei_operator.cluster.transport import Body, Request, Resource, Transport

logger = logging.getLogger(__name__)

T = TypeVar("T")

PAGE_SIZE = 500
LIST_TIMEOUT_SECONDS = 30.0
WATCH_SECONDS = 290
SILENCE_SECONDS = 80.0
"""Bookmarks come every 45 to 75 s; a stream that is silent for longer is dead, whatever TCP says."""
CONNECT_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0


class Informer(Generic[T]):
    """The objects of one kind, in all namespaces or in some.

    Parameters
    ----------
    transport
        How to call.
    resource
        The kind.
    reduce
        Keeps of an object what is needed; called in the stream's thread.
    on_change
        Called on the event loop with (namespace, name), the old object and the new one; None for absent.
    label_selector
        Only objects that match.
    namespaces
        Those to follow; empty for all of the cluster.
    clock
        Monotonic seconds.
    """

    def __init__(  # noqa: PLR0913  # three of them have defaults that fit
        self,
        transport: Transport,
        resource: Resource,
        reduce: Callable[[Body], T],
        on_change: OnChange[T],
        *,
        label_selector: str = "",
        namespaces: tuple[str, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.synced = asyncio.Event()
        """Set once every stream has its first list in the store."""
        self._reduce = reduce
        self._streams = {
            namespace: _Stream(transport, resource, namespace, label_selector, reduce, on_change, self._listed, clock)
            for namespace in (namespaces or (None,))
        }

    def start(self) -> None:
        """Start to follow; call on the running event loop."""
        loop = asyncio.get_running_loop()
        for stream in self._streams.values():
            stream.start(loop)

    def stop(self) -> None:
        """Stop to follow; nothing changes after that."""
        for stream in self._streams.values():
            stream.stop()

    def __iter__(self) -> Iterator[T]:
        for stream in self._streams.values():
            yield from stream.store

    def __len__(self) -> int:
        return sum(len(stream.store) for stream in self._streams.values())

    def get(self, key: Key) -> T | None:
        """The object of that namespace and name, if there is one."""
        stream = self._stream(key[0])
        return stream.store.get(key) if stream else None

    def by_run(self, uid: str) -> list[T]:
        """The objects that carry the run's UID as a label."""
        return [reduced for stream in self._streams.values() for reduced in stream.store.by_run(uid)]

    def put(self, body: Body) -> None:
        """Take over the answer to a write of our own, so that the next decision doesn't wait for its event."""
        entry = entry_of(body, self._reduce)
        stream = self._stream(entry.key[0])
        if stream is not None:
            stream.store.put(entry)

    def age_seconds(self) -> float:
        """Time since the stalest stream last heard of the API server; up to 80 s on a quiet cluster. Infinite before that."""
        return max(stream.age_seconds() for stream in self._streams.values())

    def _stream(self, namespace: str) -> "_Stream[T] | None":
        return self._streams.get(namespace) or self._streams.get(None)

    def _listed(self) -> None:
        if all(stream.listed for stream in self._streams.values()):
            self.synced.set()


class _Stream(Generic[T]):
    """One list-and-watch loop, and the store it feeds."""

    def __init__(  # noqa: PLR0913  # private; the informer's own
        self,
        transport: Transport,
        resource: Resource,
        namespace: str | None,
        label_selector: str,
        reduce: Callable[[Body], T],
        on_change: OnChange[T],
        on_listed: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.store: Store[T] = Store(self._changed)
        self.listed = False
        self._transport = transport
        self._path = resource.collection(namespace)
        self._selector = {"labelSelector": label_selector} if label_selector else {}
        self._reduce = reduce
        self._on_change = on_change
        self._on_listed = on_listed
        self._clock = clock
        self._heard_at: float | None = None
        self._stopped = threading.Event()
        self._response: urllib3.BaseHTTPResponse | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        threading.Thread(target=self._follow, name=f"informer {self._path}", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        response = self._response
        if response is not None:
            response.shutdown()

    def age_seconds(self) -> float:
        heard_at = self._heard_at
        return float("inf") if heard_at is None else self._clock() - heard_at

    def _changed(self, key: Key, old: T | None, new: T | None) -> None:
        """Hand a change on as a callback of its own: one that fails is logged by the loop and takes no other with it."""
        if self._loop is not None:
            self._loop.call_soon(self._on_change, key, old, new)

    def _follow(self) -> None:
        version: str | None = None
        failures = 0
        while not self._stopped.is_set():
            try:
                if version is None:
                    version = self._list()
                for version in self._watch(version):
                    failures = 0
            except Gone:
                logger.info("%s: the version to watch from is gone, listing again", self._path)
                version = None
                failures += 1
            except ApiError as error:
                failures += 1
                logger.log(
                    logging.INFO if error.temporary and failures < 5 else logging.WARNING, "%s: %s", self._path, error
                )
            except Exception:
                if self._stopped.is_set():
                    return
                # A bug in reading or reducing: start over from a list, and keep saying so.
                logger.exception("%s: following failed, listing again", self._path)
                version = None
                failures += 1
            if failures:
                self._stopped.wait(_pause_seconds(failures))

    def _list(self) -> str:
        """One consistent list, page by page."""
        entries: list[Entry[T]] = []
        query = {**self._selector, "limit": str(PAGE_SIZE)}
        while True:
            answer = self._transport.send(Request("GET", self._path, query=query), LIST_TIMEOUT_SECONDS)
            self._heard_at = self._clock()
            entries.extend(entry_of(body, self._reduce) for body in answer["items"])
            version = str(answer["metadata"]["resourceVersion"])
            token = answer["metadata"].get("continue")
            if not token:
                self._post(self._replace, entries, int(version))
                return version
            query["continue"] = token

    def _watch(self, version: str) -> Iterator[str]:
        """One watch, until the server or the network ends it. Yields the version to go on from."""
        query = {
            **self._selector,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        with self._transport.stream(
            Request("GET", self._path, query=query), CONNECT_SECONDS, SILENCE_SECONDS
        ) as response:
            self._heard_at = self._clock()
            self._response = response
            try:
                for line in _lines(response):
                    self._heard_at = self._clock()
                    yield self._take(json.loads(line))
                    if self._stopped.is_set():
                        return
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if not self._stopped.is_set():
                    raise Unavailable(0, type(error).__name__, str(error)) from error
            finally:
                self._response = None

    def _take(self, event: Body) -> str:
        """Post one event. Returns its version. Raises Gone, or what else the server says in an ERROR event."""
        body = event["object"]
        if event["type"] == "ERROR":
            raise error_of(int(body.get("code") or 500), json.dumps(body))
        version = str(body["metadata"]["resourceVersion"])
        if event["type"] == "BOOKMARK":
            self._post(self.store.advance, int(version))
        else:
            self._post(self._apply, entry_of(body, self._reduce), event["type"] == "DELETED")
        return version

    def _post(self, call: Callable[..., None], *arguments: Any) -> None:
        if self._loop is None or self._loop.is_closed():
            self._stopped.set()
            return
        self._loop.call_soon_threadsafe(self._unless_stopped, call, *arguments)

    def _unless_stopped(self, call: Callable[..., None], *arguments: Any) -> None:
        if not self._stopped.is_set():
            call(*arguments)

    def _replace(self, entries: list[Entry[T]], version: int) -> None:
        self.store.replace(entries, version)
        self.listed = True
        self._on_listed()

    def _apply(self, entry: Entry[T], deleted: bool) -> None:  # noqa: FBT001  # called by position through the loop
        self.store.apply(entry, deleted=deleted)


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The events, as they come in: one JSON document a line."""
    rest = b""
    for chunk in response.stream(amt=None, decode_content=True):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())


def _pause_seconds(failures: int) -> float:
    """0.1 s, doubling up to 5 s, half of it random so that two operators don't come back in step."""
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 16))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, guards nothing
