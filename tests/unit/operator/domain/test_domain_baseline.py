"""A run that is compared with another waits for it outside the queue, and ends when that one can never serve."""

from typing import Any

import pytest

from hantei_api.reasons import Reason
from hantei_api.status import ConditionType, Phase, ResultsLocation, RunStatus
from hantei_operator.domain.actions import CreateJob
from hantei_operator.domain.baseline import hold
from hantei_operator.domain.facts import Observed, RunFacts
from hantei_operator.ledger import Ledger
from support.decisions import a_condition, a_run, a_spec, at, between, decide, ended_attempt, kinds, observe, written

KEPT = ResultsLocation(claim_name="results", path="team/base/attempt-1", complete=True)


def finished(phase: Phase = Phase.SUCCEEDED, results: ResultsLocation | None = KEPT, **changes: Any) -> RunFacts:
    reason = Reason.COMPLETED if phase is Phase.SUCCEEDED else Reason.DEADLINE_EXCEEDED
    conditions = [a_condition(ConditionType.FINISHED, reason.value)]
    status = RunStatus(phase=phase, reason=reason, results=results, conditions=conditions, finished_at=at(5))
    return a_run(name="base", uid="base", status=status, **changes)


def compared(**changes: Any) -> RunFacts:
    return a_run(spec=a_spec(baseline={"run": "base"}), **changes)


def seen(baseline: RunFacts | None, **changes: Any) -> Observed:
    return Observed(run=compared(**changes), baseline=baseline, slot_free=True)


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        (None, "waiting for baseline run base, which does not exist"),
        (finished(deleting=True), "waiting for baseline run base, which does not exist"),
        (a_run(name="base"), "waiting for baseline run base, which is Pending"),
    ],
    ids=["absent", "being deleted", "unfinished"],
)
def test_a_run_waits_for_its_baseline_and_says_so_once(baseline: RunFacts | None, words: str) -> None:
    plan = decide(seen(baseline), 1)
    status = written(plan)
    condition = status.condition(ConditionType.CAPACITY_RESERVED)
    assert condition is not None
    assert (status.phase, condition.reason, condition.message) == (Phase.QUEUED, "WaitingForBaseline", words)
    assert kinds(plan) == []
    again = decide(Observed(run=compared(status=status), baseline=baseline, slot_free=True), 2)
    assert again.status is None
    assert again.wake_after_seconds == pytest.approx(98)


def test_the_queue_clock_runs_while_a_run_waits_for_its_baseline() -> None:
    status = written(decide(seen(None), 101))
    assert status.reason is Reason.QUEUE_TIMEOUT
    assert "baseline run base, which does not exist, within clocks.queueSeconds (100 s)" in (status.message or "")


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        (finished(results=None), "ended with Completed and kept no complete results: give it spec.output"),
        (
            finished(results=KEPT.model_copy(update={"complete": False})),
            "ended with Completed and kept no complete results: give it spec.output",
        ),
        (finished(Phase.FAILED), "ended with DeadlineExceeded and kept complete results"),
        (
            finished(spec=a_spec(suite={"shogi": {}})),
            "base is of suite shogi, this run of command: name one of command",
        ),
        (a_run(name="base", spec=a_spec(suite={"shogi": {}})), "base is of suite shogi"),
    ],
    ids=["without output", "partial", "failed", "another suite", "another suite, unfinished"],
)
def test_a_baseline_that_can_never_serve_ends_the_run_at_once(baseline: RunFacts, words: str) -> None:
    status = written(decide(seen(baseline), 1))
    assert status.reason is Reason.INVALID_TASK
    assert words in (status.message or "")


def test_a_run_is_launched_when_its_baseline_is_done() -> None:
    assert hold(compared(), finished()) is None
    assert CreateJob in kinds(decide(seen(finished()), 1))


def test_a_run_without_a_baseline_run_is_held_by_nothing() -> None:
    other = a_spec(suite={"shogi": {}}, baseline={"checkpoint": {"uri": "s3://models/a.pt"}})
    for run in (a_run(), a_run(spec=other), compared(status=between(ended_attempt(1, Reason.EVICTED)))):
        held = hold(run, finished())
        assert held is None
    assert hold(a_run(spec=None, spec_error="x"), None) is None


def test_a_baseline_whose_spec_nobody_can_read_is_no_baseline() -> None:
    unreadable = RunFacts("team", "base", "base", "1", 1, at(0), spec=None, spec_error="x", status=finished().status)
    held = hold(compared(), unreadable)
    assert held is not None
    assert held.final
    assert "no suite" in held.message


def test_a_run_that_waits_for_its_baseline_does_not_keep_the_baseline_from_running() -> None:
    runs = {("team", "base"): a_run(name="base", uid="base", created_at=at(2))}
    ledger = Ledger(1, lambda namespace, name: runs.get((namespace, name)))
    ledger.note(("team", "run"), compared())
    ledger.note(("team", "base"), runs[("team", "base")])
    assert ledger.next_in_line(at(3)) == [("team", "base")]
    assert ledger.look(runs[("team", "base")], at(3)) == (True, 0)
    assert ledger.held_by(("team", "base")) == [("team", "run")]
    assert ledger.held_by(("other", "base")) == []
    runs[("team", "base")] = finished()
    ledger.note(("team", "base"), finished())
    assert ledger.next_in_line(at(6)) == [("team", "run")]


def test_a_suspended_run_is_not_refused_for_a_baseline_that_is_not_there_yet() -> None:
    run = a_run(spec=a_spec(baseline={"run": "base"}, suspend=True))
    assert written(decide(observe(run), 1)).phase is Phase.QUEUED
