"""Who holds a reservation and who waits for one, kept up to date from every change of a run."""

from collections.abc import Callable
from datetime import datetime

from hantei_operator.domain.baseline import hold
from hantei_operator.domain.budgets import retry_at
from hantei_operator.domain.facts import RunFacts
from hantei_operator.domain.queue import Place, runs_ahead, slot_free

Key = tuple[str, str]


class Ledger:
    """Reservations and the queue. They live in the runs' statuses; this only counts them."""

    def __init__(
        self, max_concurrent: int, find_run: Callable[[str, str], RunFacts | None] = lambda _namespace, _name: None
    ) -> None:
        self.max_concurrent = max_concurrent
        self._find_run = find_run
        self.reserved: set[Key] = set()
        self._waiting: dict[Key, RunFacts] = {}

    def note(self, key: Key, run: RunFacts | None) -> bool:
        """Take in a run's new state; True when others may move up: it gave its reservation or its place back."""
        reserved, waited = key in self.reserved, key in self._waiting
        self.reserved.discard(key)
        self._waiting.pop(key, None)
        if run is None or run.deleting or run.status.finished:
            return reserved or waited
        if run.unreadable_status:
            if run.unreadable_reserved:
                self.reserved.add(key)
            return reserved or waited
        if run.status.attempts and run.status.attempts[-1].reason is None:
            self.reserved.add(key)
            return False
        if run.spec is None or run.spec.suspend or run.spec.cancel:
            return reserved or waited
        self._waiting[key] = run
        return reserved

    def look(self, run: RunFacts, now: datetime) -> tuple[bool, int]:
        """Whether the run may reserve now, and how many are ahead of it.

        A run in its back-off, or one that waits for its baseline, keeps nobody waiting.
        """
        ahead = runs_ahead(_place(run), (_place(each) for each in self._eligible(now)))
        return slot_free(ahead, len(self.reserved), self.max_concurrent), ahead

    def next_in_line(self, now: datetime) -> list[Key]:
        """The runs that may reserve now, first come first."""
        places = sorted(_place(each) for each in self._eligible(now))
        free = max(0, self.max_concurrent - len(self.reserved))
        return [(place.namespace, place.name) for place in places[:free]]

    def _eligible(self, now: datetime) -> list[RunFacts]:
        return [
            run
            for run in self._waiting.values()
            if ((at := retry_at(run.status.attempts)) is None or at <= now) and hold(run, self.baseline_of(run)) is None
        ]

    def baseline_of(self, run: RunFacts) -> RunFacts | None:
        """The run that this one is compared with, when it names one that is there."""
        wanted = run.spec.baseline if run.spec else None
        return self._find_run(run.namespace, wanted.run) if wanted is not None and wanted.run is not None else None

    def held_by(self, key: Key) -> list[Key]:
        """The waiting runs that are compared with this one."""
        return [
            waiting
            for waiting, run in self._waiting.items()
            if run.spec is not None and run.spec.baseline is not None and (run.namespace, run.spec.baseline.run) == key
        ]


def _place(run: RunFacts) -> Place:
    return Place(run.created_at, run.namespace, run.name)
