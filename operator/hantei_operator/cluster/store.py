"""What an informer knows: the newest version of every object, never an older one again."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from hantei_operator.cluster.client import Body

T = TypeVar("T")

logger = logging.getLogger(__name__)

Key = tuple[str, str]
"""Namespace and name."""
OnChange = Callable[[T | None, T | None], None]
"""Called with what was known before and what is known now, None for absent; for a deletion that the watch saw, the first
is the object's final state."""


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One object as it was at one version."""

    key: Key
    version: int
    """resourceVersion. Kubernetes stores revisions of etcd there, which grow through all objects of a kind; that they may
    be compared as integers is documented from Kubernetes 1.35 on and held before."""
    run_uid: str
    reduced: T


def entry_of(body: Body, reduce: Callable[[Body], T], run_uid_of: Callable[[Body], str]) -> Entry[T]:
    """Reduce an object as the API server sent it; ``run_uid_of`` reads its metadata."""
    metadata = body["metadata"]
    return Entry(
        key=(metadata["namespace"], metadata["name"]),
        version=int(metadata["resourceVersion"]),
        run_uid=run_uid_of(metadata),
        reduced=reduce(body),
    )


class Store(Generic[T]):
    """The objects of one kind in one namespace, or in the whole cluster.

    Only one thread may touch it. ``on_change`` is called when the store has changed, before the changing call returns;
    what it raises is logged and goes no further.
    """

    def __init__(self, on_change: OnChange[T]) -> None:
        self._on_change = on_change
        self._entries: dict[Key, Entry[T]] = {}
        self._by_run: dict[str, set[Key]] = {}
        self._position = 0
        """Everything up to this version has been seen."""

    def __iter__(self) -> Iterator[T]:
        return iter([entry.reduced for entry in self._entries.values()])

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> T | None:
        """The object, if there is one."""
        entry = self._entries.get(key)
        return entry.reduced if entry else None

    def by_run(self, uid: str) -> list[T]:
        """The objects of the run of that UID, by name."""
        return [self._entries[key].reduced for key in sorted(self._by_run.get(uid, ()))]

    def replace(self, entries: Iterable[Entry[T]], version: int) -> None:
        """Take over a complete list; what it lacks has vanished, unless it was put later than the list was made."""
        listed = {entry.key: entry for entry in entries}
        vanished = [key for key, entry in self._entries.items() if key not in listed and entry.version <= version]
        self._position = max(self._position, version)
        for key in vanished:
            self._set(key, None)
        for key, entry in listed.items():
            known = self._entries.get(key)
            if known is None or known.version < entry.version:
                self._set(key, entry)

    def apply(self, entry: Entry[T], *, deleted: bool) -> None:
        """Take over one event of the watch; one that is older than what is known is dropped."""
        self._position = max(self._position, entry.version)
        known = self._entries.get(entry.key)
        if known is not None and known.version > entry.version:
            return
        if deleted:
            if known is not None:
                self._set(entry.key, None, final=entry.reduced)
        elif known is None or known.version < entry.version:
            self._set(entry.key, entry)

    def advance(self, version: int) -> None:
        """Note a bookmark: everything up to it has been seen."""
        self._position = max(self._position, version)

    def put(self, entry: Entry[T]) -> None:
        """Take over the answer to a write of our own, ahead of its event.

        Up to the watch's position the watch knows better: the object may be deleted by now.
        """
        known = self._entries.get(entry.key)
        if entry.version > self._position and (known is None or known.version < entry.version):
            self._set(entry.key, entry)

    def _set(self, key: Key, entry: Entry[T] | None, final: T | None = None) -> None:
        old = self._entries.pop(key, None)
        if old is not None:
            keys = self._by_run[old.run_uid]
            keys.discard(key)
            if not keys:
                del self._by_run[old.run_uid]
        if entry is not None:
            self._entries[key] = entry
            self._by_run.setdefault(entry.run_uid, set()).add(key)
        before = final if final is not None else old.reduced if old else None
        try:
            self._on_change(before, entry.reduced if entry else None)
        except Exception:
            # One object's trouble must not keep the store from taking in the others.
            logger.exception("a change of %s/%s could not be handed on", *key)
