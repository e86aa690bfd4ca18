"""The ledger, the memory, progress and settings: what stands between decisions and the API server."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from hantei_api.reasons import Reason
from hantei_api.status import Progress
from hantei_operator.domain.facts import ContainerFacts, EventFacts, RunFacts
from hantei_operator.ledger import Ledger
from hantei_operator.memory import Memories
from hantei_operator.progress import progress_from
from hantei_operator.settings import Settings, load
from support.decisions import a_job, a_placed_pod, a_run, a_spec, at, between, ended_attempt, reserved

KEY = ("team", "run")


def named(name: str, second: float, **changes: object) -> RunFacts:
    return a_run(name=name, uid=name, created_at=at(second), **changes)


def test_reservations_never_exceed_the_slots_and_are_served_first_come_first() -> None:
    ledger = Ledger(max_concurrent=2)
    first, second, third = named("b", 1), named("a", 2), named("c", 3)
    for run in (third, second, first):
        ledger.note((run.namespace, run.name), run)

    assert ledger.next_in_line(at(9)) == [("team", "b"), ("team", "a")]
    assert [ledger.look(run, at(9)) for run in (first, second, third)] == [(True, 0), (True, 1), (False, 2)]

    ledger.note(("team", "b"), replace(first, status=reserved()))
    assert ledger.next_in_line(at(9)) == [("team", "a")]
    assert ledger.look(third, at(9)) == (False, 1)


def test_a_slot_is_given_back_once_when_its_run_goes() -> None:
    ledger = Ledger(max_concurrent=1)
    holder = a_run(status=reserved())
    assert ledger.note(KEY, holder) is False
    assert ledger.note(KEY, holder) is False
    assert ledger.note(KEY, None) is True
    assert ledger.note(KEY, None) is False
    ledger.note(KEY, holder)
    assert ledger.note(KEY, replace(holder, deleting=True)) is True


@pytest.mark.parametrize("flag", ["suspend", "cancel"])
def test_a_run_that_wants_no_slot_keeps_nobody_waiting(flag: str) -> None:
    ledger = Ledger(max_concurrent=1)
    ledger.note(("team", "first"), named("first", 1, spec=a_spec(**{flag: True})))

    assert ledger.look(named("second", 2), at(9)) == (True, 0)


def test_a_run_in_its_back_off_keeps_nobody_waiting_until_it_is_over() -> None:
    ledger = Ledger(max_concurrent=1)
    ledger.note(("team", "first"), named("first", 1, status=between(ended_attempt(1, Reason.EVICTED, 0, 10))))
    second = named("second", 2)

    assert ledger.look(second, at(14)) == (True, 0)
    assert ledger.look(second, at(15)) == (False, 1)


def test_no_slots_means_no_launches() -> None:
    ledger = Ledger(max_concurrent=0)
    ledger.note(KEY, a_run())

    assert ledger.next_in_line(at(1)) == []
    assert ledger.look(a_run(), at(1)) == (False, 0)


def test_memory_keeps_the_last_waiting_words_after_the_kubelet_has_erased_them() -> None:
    memories = Memories()
    pulling = a_placed_pod(container=ContainerFacts("ErrImagePull", "i/o timeout"))
    memories.see_pod(KEY, pulling)
    failed = a_placed_pod("", phase="Failed", reason="DeadlineExceeded")
    memories.see_pod(KEY, failed)

    memory = memories.of(KEY, 1)
    assert (memory.waiting_reason, memory.waiting_message) == ("ErrImagePull", "i/o timeout")
    assert memory.last_pod == failed


def test_memory_is_of_one_attempt_and_goes_with_its_run() -> None:
    memories = Memories()
    memories.see_job(KEY, a_job())
    memories.see_conflict(KEY, 1, "somebody's")
    memories.see_placement(KEY, 1, "because of a claim")
    memories.see_progress(KEY, 1, Progress(done=1))
    memories.wrote(KEY, 1, at(3))
    memory = memories.of(KEY, 1)
    assert (memory.job_seen, memory.name_conflict, memory.placement) == (True, "somebody's", "because of a claim")
    assert (memory.progress, memory.written_at) == (Progress(done=1), at(3))

    assert memories.of(KEY, 2).job_seen is False
    memories.see_job(KEY, a_job(2))
    memories.forget(KEY)
    memories.forget(KEY)
    assert memories.of(KEY, 2).job_seen is False


@pytest.mark.parametrize("kind", ["Job", "Pod"])
def test_the_same_events_twice_are_no_news(kind: str) -> None:
    memories = Memories()
    words = (EventFacts("FailedCreate", "quota"),)

    assert memories.see_events(KEY, 1, kind, words) is True
    assert memories.see_events(KEY, 1, kind, words) is False
    memory = memories.of(KEY, 1)
    assert (memory.job_events, memory.pod_events) == ((words, ()) if kind == "Job" else ((), words))


@pytest.mark.parametrize(
    ("text", "progress"),
    [
        (b'{"done": 5}', Progress(done=5, text="5")),
        (b'{"done": 5, "total": 10, "etaSeconds": 2.345}', Progress(done=5, total=10, eta_seconds=2.3, text="50%")),
        (b'{"done": 5, "total": null, "etaSeconds": null}', Progress(done=5, text="5")),
    ],
)
def test_progress_is_what_the_evaluator_says(text: bytes, progress: Progress) -> None:
    assert progress_from(text) == progress


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'"done"',
        b'{"done": -1}',
        b'{"done": "many"}',
        b'{"done": 1, "total": [1]}',
        b'{"done": 1, "etaSeconds": "soon"}',
        b'{"done": 1, "etaSeconds": NaN}',
        b'{"done": ' + b"9" * 100 + b"}",
        b'{"done": 1' + b"0" * 30 + b', "total": 1' + b"0" * 30 + b"}",
        b'{"done": 1, "etaSeconds": Infinity}',
        b'{"total": 1, "done": 1' + b"0" * 400 + b"}",
        b"\xff\xfe",
        b"[" * 16000,
    ],
)
def test_progress_that_makes_no_sense_is_none(text: bytes) -> None:
    assert progress_from(text) is None


def test_settings_have_defaults_and_refuse_a_key_that_nobody_knows(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("")
    assert load(file) == Settings()
    assert load(file).evaluations.max_concurrent == 1

    file.write_text("evaluations: {maxConcurent: 3}")
    with pytest.raises(ValidationError, match=r"maxConcurent"):
        load(file)


def test_settings_hand_their_limits_to_decisions(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "evaluations: {imagePrefixes: [a/, b/], nodeSelectorKeys: [pool], maxWallSeconds: 600, podRetentionSeconds: 0}"
    )
    policy = load(file).policy

    assert (policy.image_prefixes, policy.node_selector_keys) == (("a/", "b/"), ("pool",))
    assert (policy.max_wall_seconds, policy.pod_retention_seconds) == (600, 0)


@pytest.mark.parametrize("wrong", ["maxConcurrent: -1", "maxWallSeconds: 14", "imagePullPolicy: Sometimes"])
def test_a_setting_out_of_bounds_is_named(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"evaluations: {{{wrong}}}")

    with pytest.raises(ValidationError, match=wrong.split(":", maxsplit=1)[0]):
        load(file)
