"""What is on the cluster, followed without gaps: a consistent list, then a watch from there, and again when it breaks.

A thread for each stream reads and reduces; the store is changed on the event loop alone, so whoever reads it there sees
one state.
"""

import asyncio
import functools
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from hantei_api.names import RUN_UID_LABEL
from hantei_operator.cluster.client import Body, Client, Stream
from hantei_operator.cluster.errors import ApiError, Gone, error_from
from hantei_operator.cluster.paths import RUNS, path
from hantei_operator.cluster.store import Entry, OnChange, Store, entry_of

logger = logging.getLogger(__name__)

T = TypeVar("T")

PAGE_SIZE = 500
LIST_TIMEOUT_SECONDS = 30.0
WATCH_SECONDS = 290
SILENCE_SECONDS = 80.0
"""Bookmarks come every 45 to 75 s; a stream that is silent for longer is dead, whatever TCP says."""
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
LOUD_FAILURES = 5
"""From this failure in a row on it is a warning, also when it is of the kind that passes."""


class Informer(Generic[T]):
    """The objects of one kind, in all namespaces or in some.

    Parameters
    ----------
    client
        How to call.
    kind
        One of ``cluster.paths``.
    reduce
        Keeps of an object what is needed; called in the stream's thread and, for ``put``, on the event loop.
    on_change
        Called on the event loop with the old object and the new one; None for absent.
    label_selector
        Only objects that match.
    namespaces
        Those to follow; empty for all of the cluster.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        client: Client,
        kind: tuple[str, str],
        *,
        reduce: Callable[[Body], T],
        on_change: OnChange[T],
        label_selector: str = "",
        namespaces: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._entry = functools.partial(
            entry_of, reduce=reduce, run_uid_of=_own_uid if kind == RUNS else _run_uid_label
        )
        self._synced = asyncio.Event()
        self._streams: dict[str | None, _Stream[T]] = {
            namespace: _Stream(
                client, path(kind, namespace), label_selector, self._entry, Store(on_change), self._listed, clock
            )
            for namespace in (namespaces or (None,))
        }

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start to follow; changes are taken in on that loop."""
        for stream in self._streams.values():
            stream.start(loop)

    def stop(self) -> None:
        """Stop to follow; nothing changes after that."""
        for stream in self._streams.values():
            stream.stop()

    @property
    def synced(self) -> bool:
        """Whether every stream has its first list in the store."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Wait until every stream has its first list in the store."""
        await self._synced.wait()

    def values(self) -> list[T]:
        """All objects."""
        return [reduced for stream in self._streams.values() for reduced in stream.store]

    def get(self, namespace: str, name: str) -> T | None:
        """The object of that namespace and name, if there is one."""
        stream = self._stream(namespace)
        return stream.store.get((namespace, name)) if stream else None

    def by_run(self, uid: str) -> list[T]:
        """The run of that UID, or the Jobs or pods that carry it as a label."""
        return [reduced for stream in self._streams.values() for reduced in stream.store.by_run(uid)]

    def put(self, body: Body) -> None:
        """Take over the answer to a write of our own, so that the next decision doesn't wait for its event."""
        entry = self._entry(body)
        stream = self._stream(entry.key[0])
        if stream is not None:
            stream.store.put(entry)

    def age_seconds(self) -> float:
        """Time since the stalest stream last heard of the API server; up to 80 s on a quiet cluster, infinite at first."""
        return max(stream.age_seconds() for stream in self._streams.values())

    def _stream(self, namespace: str) -> "_Stream[T] | None":
        return self._streams.get(namespace) or self._streams.get(None)

    def _listed(self) -> None:
        if all(stream.listed for stream in self._streams.values()):
            self._synced.set()


def _own_uid(metadata: Body) -> str:
    return str(metadata["uid"])


def _run_uid_label(metadata: Body) -> str:
    return str(metadata.get("labels", {}).get(RUN_UID_LABEL, ""))


class _Stream(Generic[T]):
    """One list-and-watch loop, and the store it feeds."""

    def __init__(
        self,
        client: Client,
        path: str,
        label_selector: str,
        entry: Callable[[Body], Entry[T]],
        store: Store[T],
        on_listed: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.store = store
        self.listed = False
        self._client = client
        self._path = path
        self._selector = {"labelSelector": label_selector} if label_selector else {}
        self._entry = entry
        self._on_listed = on_listed
        self._clock = clock
        self._heard_at: float | None = None
        self._version: str | None = None
        """Where to watch from; None to list first. Belongs to the thread."""
        self._failures = 0
        """In a row. Belongs to the thread."""
        self._stopped = threading.Event()
        self._watching: Stream | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        threading.Thread(target=self._follow, name=f"informer {self._path}", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        if self._watching is not None:
            self._watching.stop()

    def age_seconds(self) -> float:
        heard_at = self._heard_at
        return float("inf") if heard_at is None else self._clock() - heard_at

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                if self._version is None:
                    self._version = self._list()
                self._watch(self._version)
                self._failures = 0
            except Gone:
                logger.info("%s: the version to watch from is gone, listing again", self._path)
                self._version = None
            except ApiError as error:
                self._failures += 1
                level = logging.INFO if error.temporary and self._failures < LOUD_FAILURES else logging.WARNING
                logger.log(level, "%s: %s", self._path, error)
            except Exception:
                # A bug in reading or reducing: start over from a list, and keep saying so.
                self._failures += 1
                logger.exception("%s: following failed, listing again", self._path)
                self._version = None
            # Also after an orderly end, so that a server which ends every watch at once is not asked without pause.
            self._stopped.wait(_pause_seconds(self._failures))

    def _list(self) -> str:
        """One consistent list, page by page. Returns its version."""
        entries: list[Entry[T]] = []
        query = {**self._selector, "limit": str(PAGE_SIZE)}
        while True:
            answer = self._client.call("GET", self._path, query=query, timeout_seconds=LIST_TIMEOUT_SECONDS)
            self._heard_at = self._clock()
            entries.extend(entry for body in answer["items"] if (entry := self._reduced(body)) is not None)
            version = str(answer["metadata"]["resourceVersion"])
            token = answer["metadata"].get("continue")
            if not token:
                self._post(self._replace, entries, int(version))
                return version
            query["continue"] = token

    def _watch(self, version: str) -> None:
        """One watch, until the server or the network ends it; the position goes along."""
        query = {
            **self._selector,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        events = self._client.stream(self._path, query=query, read_timeout_seconds=SILENCE_SECONDS)
        self._heard_at = self._clock()
        self._watching = events
        for event in events:
            if self._stopped.is_set():
                return
            self._heard_at = self._clock()
            self._version = self._take(event)
            self._failures = 0

    def _take(self, event: Body) -> str:
        """Post one event. Returns its version. Raises Gone, or what else the server says in an ERROR event."""
        body = event["object"]
        if event["type"] == "ERROR":
            raise error_from(int(body.get("code") or 500), json.dumps(body))
        version = str(body["metadata"]["resourceVersion"])
        if event["type"] == "BOOKMARK":
            self._post(self.store.advance, int(version))
        else:
            entry = self._reduced(body)
            if entry is not None:
                self._post(self._apply, entry, event["type"] == "DELETED")
        return version

    def _reduced(self, body: Body) -> Entry[T] | None:
        """The object as it is kept; one that can't be read is left out and named, so that it blinds nobody to the others."""
        try:
            return self._entry(body)
        except Exception:
            metadata = body.get("metadata", {})
            logger.exception("%s: %s/%s can't be read", self._path, metadata.get("namespace"), metadata.get("name"))
            return None

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


def _pause_seconds(failures: int) -> float:
    """0.1 s, doubling up to 5 s, half of it random so that two operators don't come back in step."""
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 16))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, guards nothing
