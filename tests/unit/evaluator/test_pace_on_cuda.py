"""How passes are put on a stream and timed by events, on a stand-in for torch.cuda: no GPU is here."""

from types import TracebackType
from typing import Any

import pytest
import torch

from hantei_api.spec import Politeness
from hantei_evaluator.run.deadline import Deadline, TaskLimits
from hantei_evaluator.run.pace import Clock, CudaForwards, Pace, cap_device_memory


class StandInCuda:
    """A device whose clock the test moves, and which writes down what it is told."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.computing = False
        self.said: list[str] = []
        self.current = self.Stream(self, "default")

    class Stream:
        def __init__(self, cuda: "StandInCuda", name: str) -> None:
            self.cuda = cuda
            self.name = name

        def wait_stream(self, other: "StandInCuda.Stream") -> None:
            self.cuda.said.append(f"{self.name} waits for {other.name}")

    class Event:
        def __init__(self, cuda: "StandInCuda") -> None:
            self.cuda = cuda
            self.at = 0.0

        def record(self) -> None:
            self.at = self.cuda.seconds
            self.cuda.said.append(f"event on {self.cuda.current.name}")

        def query(self) -> bool:
            return not self.cuda.computing

        def synchronize(self) -> None:
            self.cuda.said.append("synchronize")

        def elapsed_time(self, other: "StandInCuda.Event") -> float:
            return 1000 * (other.at - self.at)

    class On:
        def __init__(self, cuda: "StandInCuda", stream: "StandInCuda.Stream") -> None:
            self.cuda, self.stream, self.before = cuda, stream, cuda.current

        def __enter__(self) -> None:
            self.cuda.current = self.stream

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None:
            self.cuda.current = self.before


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> StandInCuda:
    stand_in = StandInCuda()

    class Stream(StandInCuda.Stream):
        def __init__(self, priority: int) -> None:
            super().__init__(stand_in, f"priority {priority}")

        @staticmethod
        def priority_range() -> tuple[int, int]:
            return 0, -5

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "Event", lambda **_: StandInCuda.Event(stand_in))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stand_in.current)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: StandInCuda.On(stand_in, stream))
    return stand_in


def pace(cuda: StandInCuda, percent: int, *, low_priority: bool = True) -> Pace:
    def sleep(seconds: float) -> None:
        cuda.seconds += seconds

    return Pace(
        Politeness(duty_cycle_percent=percent),
        Deadline(TaskLimits()),
        CudaForwards(low_priority=low_priority),
        threshold_percent=80.0,
        recent=lambda: None,
        clock=Clock(lambda: cuda.seconds, sleep),
    )


def test_stand_in_a_pass_is_ordered_between_what_came_before_and_what_comes_after(cuda: StandInCuda) -> None:
    with pace(cuda, 100):
        cuda.said.append("pass")
    assert cuda.said == [
        "priority 0 waits for default",
        "event on priority 0",
        "pass",
        "event on priority 0",
        "default waits for priority 0",
    ]


def test_stand_in_without_low_priority_the_callers_stream_is_left_alone(cuda: StandInCuda) -> None:
    with pace(cuda, 100, low_priority=False):
        cuda.said.append("pass")
    assert cuda.said == ["event on default", "pass", "event on default"]


def test_stand_in_the_duty_cycle_is_of_the_devices_time(cuda: StandInCuda) -> None:
    polite = pace(cuda, 25)
    for _ in range(100):
        with polite:
            cuda.seconds += 0.01
    assert polite.finish().duty_cycle_percent == pytest.approx(25, rel=0.05)
    assert cuda.said.count("synchronize") == 100


def test_stand_in_at_full_duty_no_pass_is_waited_for(cuda: StandInCuda) -> None:
    full = pace(cuda, 100)
    cuda.computing = True
    for _ in range(3):
        with full:
            cuda.seconds += 0.5
    assert "synchronize" not in cuda.said
    assert full.paced().forward_seconds == 0
    cuda.computing = False
    with full:
        cuda.seconds += 0.5
    assert full.paced().forward_seconds == pytest.approx(1.5)
    assert full.finish().forward_seconds == pytest.approx(2.0)


@pytest.mark.parametrize(("fraction", "calls"), [(0.25, [0.25]), (None, [])])
def test_stand_in_the_memory_cap_is_torchs(
    monkeypatch: pytest.MonkeyPatch, fraction: float | None, calls: list[float]
) -> None:
    set_to: list[Any] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", set_to.append)
    cap_device_memory(Politeness(gpu_memory_fraction=fraction))
    assert set_to == calls
