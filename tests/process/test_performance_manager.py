"""EvaluationPerformanceManager: real child processes, real breaches."""

import asyncio
import logging
import multiprocessing
import os
import threading
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
import torch

from hantei_api.provenance import SlaMetric
from hantei_api.reasons import Reason
from hantei_evaluator.performance import (
    EvaluationPerformanceManager,
    EvaluationPerformanceSLA,
    SlaViolatedError,
    training_impact_percent,
)
from hantei_evaluator.run.errors import EvaluationError
from support import jobs
from support.waiting import eventually

pytestmark = pytest.mark.timeout(120)

RELAXED = EvaluationPerformanceSLA(latency_seconds=3600, memory_overhead_bytes=1e12)


def manager(**settings: float | bool | EvaluationPerformanceSLA | str | None) -> EvaluationPerformanceManager:
    return EvaluationPerformanceManager(**{"sla": RELAXED, **settings})  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("evaluator", "arguments", "value"),
    [
        (jobs.add, (1, 2), 3),
        (jobs.add_later, (1, 2), 3),
        (jobs.Evaluator(), ("agent", "context"), "agent in context"),
    ],
    ids=["function", "coroutine-function", "evaluator"],
)
def test_each_kind_of_evaluator_returns_its_value_and_what_it_cost(
    evaluator: object, arguments: tuple[object, ...], value: object
) -> None:
    ended = asyncio.run(manager().run_evaluation_with_safeguards(evaluator, *arguments))

    assert ended.value == value
    assert ended.sla.passed
    readings = {reading.metric: reading for reading in ended.sla.readings}
    assert readings[SlaMetric.LATENCY_SECONDS].value is not None
    assert readings[SlaMetric.MEMORY_OVERHEAD_BYTES].value is not None
    assert readings[SlaMetric.TRAINING_IMPACT_PERCENT].reason is not None
    assert readings[SlaMetric.GPU_UTILIZATION_PERCENT].reason == "no GPU is used"
    assert ended.resources.resident_bytes > 0


def test_a_loop_that_never_suspends_is_ended_at_the_timeout_and_its_place_is_free() -> None:
    # Above what a fresh interpreter needs for the second evaluation, on a machine that may be busy.
    safeguarded = manager(timeout_seconds=5)

    with pytest.raises(EvaluationError, match=r"timeout_seconds \(5 s\)") as caught:
        asyncio.run(safeguarded.run_evaluation_with_safeguards(jobs.never_suspends))

    assert caught.value.reason is Reason.DEADLINE_EXCEEDED
    assert multiprocessing.active_children() == []
    assert asyncio.run(safeguarded.run_evaluation_with_safeguards(jobs.add, 1, 2)).value == 3


def test_the_timeout_ends_a_grandchild_in_a_session_of_its_own_too(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError):
        asyncio.run(manager(timeout_seconds=8).run_evaluation_with_safeguards(jobs.leaves_a_daemon, tmp_path))

    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    eventually(lambda: not any(alive(pid) for pid in pids))


def test_cancelling_ends_the_evaluation(tmp_path: Path) -> None:
    async def cancel() -> list[int]:
        running = asyncio.create_task(manager().run_evaluation_with_safeguards(jobs.leaves_a_daemon, tmp_path))
        await asyncio.to_thread(eventually, (tmp_path / "pids").exists)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return [int(pid) for pid in (tmp_path / "pids").read_text().split()]

    pids = asyncio.run(cancel())
    eventually(lambda: not any(alive(pid) for pid in pids))


def test_no_more_run_at_once_than_are_allowed() -> None:
    one_at_a_time = manager(max_concurrent=1)

    async def three() -> list[tuple[float, float]]:
        ended = await asyncio.gather(
            *(one_at_a_time.run_evaluation_with_safeguards(jobs.stamps, 0.3) for _ in range(3))
        )
        return sorted(each.value for each in ended)

    times = asyncio.run(three())
    assert all(later[0] >= earlier[1] for earlier, later in pairwise(times))


def test_what_an_evaluator_raises_arrives_with_its_traceback() -> None:
    with pytest.raises(EvaluationError, match=r"a\.pt: no weights") as caught:
        asyncio.run(manager().run_evaluation_with_safeguards(jobs.fails, "a.pt"))

    assert caught.value.reason is Reason.CHECKPOINT_INVALID
    assert "in fails" in caught.value.__notes__[0]


def test_an_evaluator_that_exits_ends_nothing_but_itself() -> None:
    with pytest.raises(RuntimeError, match="SystemExit: 3"):
        asyncio.run(manager().run_evaluation_with_safeguards(jobs.exits))


def test_a_process_that_is_killed_is_told() -> None:
    with pytest.raises(EvaluationError, match="ended with signal 9"):
        asyncio.run(manager().run_evaluation_with_safeguards(jobs.is_killed))


def test_what_cannot_be_handed_over_is_refused_with_the_way_out() -> None:
    with pytest.raises(TypeError, match="Name a function at the top of a module"):
        asyncio.run(manager().run_evaluation_with_safeguards(lambda: 1))
    with pytest.raises(TypeError, match="result can't be handed over"):
        asyncio.run(manager().run_evaluation_with_safeguards(jobs.returns_a_lock))


def test_settings_that_allow_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="max_concurrent is 0"):
        manager(max_concurrent=0)
    with pytest.raises(ValueError, match="timeout_seconds is 0"):
        manager(timeout_seconds=0)


def test_latency_above_its_threshold_is_recorded_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    strict = manager(sla=EvaluationPerformanceSLA(latency_seconds=0.2))

    with caplog.at_level(logging.WARNING):
        ended = asyncio.run(strict.run_evaluation_with_safeguards(jobs.stamps, 0.4))

    assert ended.value
    assert ended.sla.violations == [SlaMetric.LATENCY_SECONDS]
    assert strict.violations == {SlaMetric.LATENCY_SECONDS: 1}
    assert "SLA: latency_seconds: 0.4" in caplog.text
    assert "is above the threshold of 0.2 s" in caplog.text


def test_memory_above_the_default_of_500_mb_is_a_breach() -> None:
    ended = asyncio.run(EvaluationPerformanceManager().run_evaluation_with_safeguards(jobs.allocates, 600_000_000))

    assert ended.value == 600_000_000
    assert ended.sla.violations == [SlaMetric.MEMORY_OVERHEAD_BYTES]


def test_an_enforced_breach_is_raised_with_the_result(caplog: pytest.LogCaptureFixture) -> None:
    strict = manager(sla=EvaluationPerformanceSLA(latency_seconds=0.2), enforce=True)

    with pytest.raises(SlaViolatedError, match=r"above the threshold of 0\.2 s") as caught:
        asyncio.run(strict.run_evaluation_with_safeguards(jobs.stamps, 0.4))

    assert caught.value.reason is Reason.SLA_VIOLATED
    assert caught.value.evaluation.value[1] > caught.value.evaluation.value[0]


def test_nvml_stand_in_utilization_above_80_percent_is_a_breach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pynvml.py").write_text(
        "import sys\nfrom support.nvml import StandInNvml\nsys.modules[__name__] = StandInNvml(utilization=[95])\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    ended = asyncio.run(
        manager(gpu_uuid="GPU-0").run_evaluation_with_safeguards(jobs.stamps, 0.1),
    )

    assert ended.resources.gpu_utilization_percent == 95
    assert ended.sla.violations == [SlaMetric.GPU_UTILIZATION_PERCENT]


class Training(threading.Thread):
    """A real training loop: a small network, Adam, steps counted."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.steps = 0
        self.ended = threading.Event()

    def run(self) -> None:
        torch.set_num_threads(1)
        model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
        optimizer = torch.optim.Adam(model.parameters())
        x = torch.randn(32, 64)
        while not self.ended.is_set():
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
            self.steps += 1

    def rate(self, since: tuple[float, int]) -> float:
        return (self.steps - since[1]) / (time.monotonic() - since[0])

    def mark(self) -> tuple[float, int]:
        return time.monotonic(), self.steps


def test_a_real_training_that_is_slowed_down_is_a_breach_of_training_impact() -> None:
    """Training and evaluation share one core, so that the training loses about half of it."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    training = Training()
    try:
        training.start()
        eventually(lambda: training.steps > 10)
        began = training.mark()
        eventually(lambda: time.monotonic() - began[0] > 1.5)
        alone = training.rate(began)
        beside = training.mark()
        ended = asyncio.run(
            manager().run_evaluation_with_safeguards(
                jobs.computes, 3.0, training_impact=lambda: training_impact_percent(alone, training.rate(beside))
            )
        )
    finally:
        training.ended.set()
        training.join()
        os.sched_setaffinity(0, cores)

    assert ended.sla.violations == [SlaMetric.TRAINING_IMPACT_PERCENT]
    impact = next(each for each in ended.sla.readings if each.metric is SlaMetric.TRAINING_IMPACT_PERCENT)
    assert impact.value is not None
    assert impact.value > 5
