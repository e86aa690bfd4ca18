"""The informer's store never goes back to an older state, whatever order lists, events and own answers come in."""

import logging
from typing import Any

import pytest

from hantei_operator.cluster.store import Entry, Store

Change = tuple[str | None, str | None]


class Recorder(Store[str]):
    """A store that keeps what it announced."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        super().__init__(lambda old, new: self.changes.append((old, new)))


def entry(version: int, reduced: str = "", name: str = "a", run_uid: str = "run") -> Entry[str]:
    return Entry(("ns", name), version, run_uid, reduced or f"v{version}")


@pytest.fixture
def store() -> Recorder:
    store = Recorder()
    store.replace([entry(5)], 10)
    store.changes.clear()
    return store


def test_a_list_that_lacks_an_object_announces_that_it_vanished(store: Recorder) -> None:
    store.replace([entry(12, name="b")], 20)
    assert store.changes == [("v5", None), (None, "v12")]
    assert store.get(("ns", "a")) is None


def test_a_list_with_the_same_version_announces_nothing(store: Recorder) -> None:
    store.replace([entry(5)], 20)
    assert store.changes == []


def test_an_object_put_after_the_list_was_made_survives_it(store: Recorder) -> None:
    store.put(entry(25, name="b"))
    store.replace([entry(5)], 20)
    assert store.get(("ns", "b")) == "v25"


def test_an_event_older_than_what_is_known_is_dropped(store: Recorder) -> None:
    store.put(entry(15))
    store.apply(entry(12), deleted=False)
    assert store.get(("ns", "a")) == "v15"


def test_the_event_of_an_own_write_announces_it_once(store: Recorder) -> None:
    store.put(entry(15))
    store.apply(entry(15), deleted=False)
    assert store.changes == [("v5", "v15")]


def test_a_deletion_hands_on_the_final_state(store: Recorder) -> None:
    store.apply(entry(15, "final"), deleted=True)
    assert store.changes == [("final", None)]
    assert len(store) == 0


def test_a_deletion_older_than_a_put_of_the_next_object_of_that_name_is_dropped(store: Recorder) -> None:
    store.put(entry(15, "next"))
    store.apply(entry(12), deleted=True)
    assert store.get(("ns", "a")) == "next"


def test_a_late_answer_does_not_bring_a_deleted_object_back(store: Recorder) -> None:
    store.apply(entry(15), deleted=True)
    store.put(entry(12))
    assert store.get(("ns", "a")) is None


def test_an_answer_from_before_a_bookmark_is_dropped(store: Recorder) -> None:
    store.advance(30)
    store.put(entry(25))
    assert store.get(("ns", "a")) == "v5"


def test_objects_are_found_by_their_run(store: Recorder) -> None:
    store.apply(entry(11, name="b"), deleted=False)
    store.apply(entry(12, name="c", run_uid="other"), deleted=False)
    assert store.by_run("run") == ["v5", "v11"]
    store.apply(entry(13, name="b", run_uid="other"), deleted=False)
    assert (store.by_run("run"), store.by_run("other")) == (["v5"], ["v13", "v12"])
    store.apply(entry(14), deleted=True)
    assert store.by_run("run") == []


def test_the_end_of_what_was_never_there_announces_nothing(store: Recorder) -> None:
    store.apply(entry(12, name="b"), deleted=True)
    assert store.changes == []


def test_a_listener_that_fails_does_not_keep_the_others_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Any] = []

    def listen(_old: str | None, new: str | None) -> None:
        heard.append(new)
        if new == "v1":
            raise RuntimeError("listener")

    store = Store(listen)
    with caplog.at_level(logging.ERROR):
        store.replace([entry(1), entry(2, name="b")], 3)
    assert heard == ["v1", "v2"]
    assert "ns/a could not be handed on" in caplog.text
