"""The soft deadline and what an outcome means beside it."""

import math
import time

import pytest

from hantei_api.metrics import Metric
from hantei_api.reasons import Reason
from hantei_api.task import TaskLimits
from hantei_evaluator.run.deadline import Deadline
from hantei_evaluator.run.evaluate import failure, judge
from hantei_evaluator.run.logtail import LogTail, redact
from hantei_evaluator.suites.protocol import Outcome

METRIC = Metric(name="accuracy", value=0.5, n=2)


def near(seconds: float) -> object:
    return pytest.approx(seconds, abs=0.5)


def test_without_clocks_there_is_no_deadline() -> None:
    deadline = Deadline(TaskLimits())
    deadline.ready()
    assert deadline.remaining_seconds() == math.inf
    assert not deadline.requested()


def test_the_wall_less_grace_less_margin_counts_from_the_pods_start() -> None:
    assert Deadline(TaskLimits(wall_seconds=300), elapsed_seconds=100).remaining_seconds() == near(190)


@pytest.mark.parametrize(("elapsed", "left"), [(-50, 290), (1000, 0)])
def test_a_clock_that_jumped_is_held_within_the_wall(elapsed: float, left: float) -> None:
    assert Deadline(TaskLimits(wall_seconds=300), elapsed).remaining_seconds() == near(left)


def test_the_run_clock_starts_at_readiness_and_the_earlier_end_counts() -> None:
    deadline = Deadline(TaskLimits(wall_seconds=300, run_seconds=20))
    assert deadline.remaining_seconds() == near(290)
    deadline.ready()
    assert deadline.remaining_seconds() == near(20)


def test_a_signal_before_the_deadline_is_pod_lost_and_after_it_deadline_exceeded() -> None:
    early = Deadline(TaskLimits(run_seconds=60))
    early.signal()
    late = Deadline(TaskLimits(wall_seconds=300), elapsed_seconds=295)
    late.signal()
    assert early.requested()
    assert (early.reason(), late.reason()) == (Reason.POD_LOST, Reason.DEADLINE_EXCEEDED)


def test_publishing_ends_before_the_wall_and_within_the_grace_period() -> None:
    now = time.monotonic()
    limits = TaskLimits(wall_seconds=300, publish_seconds=60)
    assert Deadline(limits).publish_end(now) - now == near(60)
    deadline = Deadline(limits, elapsed_seconds=290)
    assert deadline.publish_end(now) - now == near(9)
    deadline.signal()
    assert deadline.publish_end(now) - now == near(4)


def test_success_must_carry_evidence() -> None:
    deadline = Deadline(TaskLimits())
    assert judge(Outcome([METRIC], complete=True), deadline).reason is Reason.COMPLETED
    assert judge(Outcome([], complete=True), deadline).reason is Reason.METRICS_UNAVAILABLE
    twice = judge(Outcome([METRIC, METRIC], complete=True), deadline)
    assert (twice.reason, twice.message) == (Reason.METRICS_UNAVAILABLE, "Metrics are named twice: accuracy.")
    assert judge(Outcome([METRIC], complete=False), deadline).reason is Reason.EVALUATOR_ERROR


def test_a_signal_never_counts_as_success() -> None:
    deadline = Deadline(TaskLimits())
    deadline.signal()
    ending = judge(Outcome([METRIC], complete=True), deadline)
    assert (ending.reason, ending.complete, list(ending.metrics)) == (Reason.POD_LOST, True, [METRIC])


def test_a_full_disk_and_a_metric_that_is_none_have_their_reasons() -> None:
    assert failure(OSError(28, "No space left on device", "/tmp/x")).reason is Reason.STORAGE_FULL
    assert failure(MemoryError()).reason is Reason.EVALUATOR_ERROR
    with pytest.raises(ValueError, match="value") as raised:
        Metric(name="accuracy", value=math.nan, n=1)
    assert failure(raised.value).reason is Reason.METRICS_UNAVAILABLE


def test_the_tail_keeps_the_end_and_no_half_of_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "p" * 100)
    tail = LogTail()
    tail.add("a" * 5000 + "p" * 100 + "b" * 2000)
    assert tail.text().endswith("b" * 2000)
    assert "p" not in tail.text()


def test_short_values_are_no_secrets() -> None:
    assert redact("1 and hunter22", {"API_KEY": "1", "MY_TOKEN": "hunter22"}) == "1 and ***"


def test_a_stop_of_the_evaluators_own_has_its_reason_and_words() -> None:
    deadline = Deadline(TaskLimits(run_seconds=60))
    deadline.ready()
    deadline.stop(Reason.MEMORY_LIMIT_REACHED, "No memory is left.")
    deadline.signal()
    assert deadline.requested()
    assert deadline.stopped
    assert 0 <= deadline.overrun_seconds() < 1
    assert (deadline.reason(), deadline.describe()) == (Reason.MEMORY_LIMIT_REACHED, "No memory is left.")


def test_a_signal_that_came_before_stays_the_reason() -> None:
    deadline = Deadline(TaskLimits())
    deadline.signal()
    deadline.stop(Reason.MEMORY_LIMIT_REACHED, "No memory is left.")
    assert not deadline.stopped
    assert deadline.reason() is Reason.POD_LOST
