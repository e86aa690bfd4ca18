"""The duty cycle, by a clock that only the test moves."""

from collections.abc import Callable

import pytest

from hantei_api.spec import Politeness
from hantei_evaluator.run.pace import LOWEST_PERCENT, WAKE_SECONDS, Clock, DutyCycle, Forwards, Pace


class FakeClock:
    """Time goes on only by sleeping and working."""

    def __init__(self, oversleep_seconds: float = 0.0) -> None:
        self.seconds = 100.0
        self.sleeps: list[float] = []
        self._oversleep_seconds = oversleep_seconds

    def now(self) -> float:
        return self.seconds

    def work(self, seconds: float) -> None:
        self.seconds += seconds

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.seconds += seconds + self._oversleep_seconds


class StopAt:
    def __init__(self, clock: FakeClock, seconds: float = float("inf")) -> None:
        self._clock = clock
        self._seconds = seconds

    def remaining_seconds(self) -> float:
        return max(self._seconds - self._clock.seconds, 0.0)

    def requested(self) -> bool:
        return self._clock.seconds >= self._seconds


def pace(
    clock: FakeClock,
    percent: int,
    *,
    stop_at: float = float("inf"),
    recent: Callable[[], tuple[int, float] | None] = lambda: None,
    alive: Callable[[], None] = lambda: None,
    hold: bool = False,
) -> Pace:
    return Pace(
        Politeness(duty_cycle_percent=percent, hold_utilization=hold),
        StopAt(clock, stop_at),
        Forwards(clock.now),
        threshold_percent=80.0,
        recent=recent,
        alive=alive,
        clock=Clock(clock.now, clock.sleep),
    )


def play(pace: Pace, clock: FakeClock, *, forwards: int, forward_seconds: float, other_seconds: float) -> float:
    for _ in range(forwards):
        with pace:
            clock.work(forward_seconds)
        clock.work(other_seconds)
    achieved = pace.finish().duty_cycle_percent
    assert achieved is not None
    return achieved


@pytest.mark.parametrize("percent", [1, 20, 50, 80])
@pytest.mark.parametrize("forward_seconds", [0.001, 0.5])
def test_forward_passes_take_the_share_that_is_set(percent: int, forward_seconds: float) -> None:
    clock = FakeClock()
    achieved = play(pace(clock, percent), clock, forwards=200, forward_seconds=forward_seconds, other_seconds=0.0)
    assert achieved == pytest.approx(percent, rel=0.02)


def test_other_work_counts_as_rest() -> None:
    clock = FakeClock()
    achieved = play(pace(clock, 50), clock, forwards=200, forward_seconds=0.01, other_seconds=0.008)
    assert achieved == pytest.approx(50, rel=0.02)
    assert sum(clock.sleeps) == pytest.approx(200 * 0.002, rel=0.02)


def test_a_suite_that_is_slower_elsewhere_is_not_held_up() -> None:
    clock = FakeClock()
    achieved = play(pace(clock, 50), clock, forwards=50, forward_seconds=0.01, other_seconds=0.03)
    assert achieved == pytest.approx(25, rel=0.02)
    assert clock.sleeps == []


def test_a_timer_that_oversleeps_is_made_up_for() -> None:
    clock = FakeClock(oversleep_seconds=0.002)
    achieved = play(pace(clock, 50), clock, forwards=500, forward_seconds=0.01, other_seconds=0.0)
    assert achieved == pytest.approx(50, rel=0.02)


def test_at_full_duty_nobody_sleeps() -> None:
    clock = FakeClock()
    assert play(pace(clock, 100), clock, forwards=10, forward_seconds=0.1, other_seconds=0.0) == pytest.approx(100)
    assert clock.sleeps == []


def test_a_long_rest_ends_with_the_stop_and_is_a_sign_of_life() -> None:
    clock, signs = FakeClock(), []
    polite = pace(clock, 1, stop_at=103.0, alive=lambda: signs.append(clock.seconds))
    with polite:
        clock.work(2.0)
    with polite:
        ended_seconds = clock.seconds

    assert ended_seconds < 103.0 + 2 * WAKE_SECONDS
    assert len(signs) == len(clock.sleeps) > 10


def test_a_pass_inside_another_is_refused() -> None:
    polite = pace(FakeClock(), 50)
    with polite, pytest.raises(RuntimeError, match="inside another"):
        polite.__enter__()


def test_a_pass_that_fails_counts_and_the_next_one_may_begin() -> None:
    clock = FakeClock()
    polite = pace(clock, 100)

    def fail() -> None:
        clock.work(1.0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), polite:
        fail()
    with polite:
        clock.work(1.0)
    assert polite.finish().forward_seconds == pytest.approx(2.0)


def test_before_the_first_pass_there_is_no_duty_cycle() -> None:
    assert pace(FakeClock(), 50).paced().duty_cycle_percent is None


def test_utilization_over_the_threshold_lowers_the_duty_cycle_at_once_and_raises_it_slowly() -> None:
    duty = DutyCycle(50, 80)
    duty.observe(90)
    assert duty.percent == pytest.approx(35)
    duty.observe(78)
    assert duty.percent == pytest.approx(35)
    duty.observe(60)
    assert duty.percent == pytest.approx(36)
    for _ in range(100):
        duty.observe(60)
    assert duty.percent == 50


def test_it_is_not_lowered_without_end() -> None:
    for setting, lowest in ((50, LOWEST_PERCENT), (3, 3)):
        duty = DutyCycle(setting, 80)
        for _ in range(100):
            duty.observe(100)
        assert duty.percent == lowest


def test_held_utilization_follows_each_reading_once() -> None:
    clock = FakeClock()
    readings = iter([(1, 95.0), (1, 95.0), (2, 95.0), None])
    polite = pace(clock, 100, hold=True, recent=lambda: next(readings))
    allowed = []
    for _ in range(4):
        with polite:
            clock.work(0.01)
        allowed.append(polite.paced().allowed_percent)
    assert allowed == pytest.approx([70, 70, 49, 49])


def test_a_device_that_others_use_is_held_under_the_threshold() -> None:
    """A simulated device: a training takes 60 % of it, and our passes what the duty cycle lets them."""
    clock = FakeClock()
    seen = [0, 0.0]

    def recent() -> tuple[int, float]:
        return int(seen[0]), seen[1]

    polite = pace(clock, 100, hold=True, recent=recent)
    utilization = []
    for sample in range(1, 400):
        before = polite.paced()
        while clock.seconds < 100 + sample * 0.5:
            with polite:
                clock.work(0.01)
        after = polite.paced()
        ours = (after.forward_seconds - before.forward_seconds) / (after.wall_seconds - before.wall_seconds)
        seen[:] = [sample, min(60 + 100 * ours, 100.0)]
        utilization.append(seen[1])
    settled = utilization[50:]
    assert sum(settled) / len(settled) < 80
    assert sum(settled) / len(settled) > 65
