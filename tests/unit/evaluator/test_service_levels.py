"""The four thresholds, their defaults, and what a breach says."""

import subprocess
import sys

import pytest

from hantei_api.provenance import Sla, SlaMetric
from hantei_api.spec import Sla as Thresholds
from hantei_evaluator.performance import EvaluationPerformanceSLA, training_impact_percent
from hantei_evaluator.performance.sla import describe, wandb_values


def test_the_defaults_are_keiseis_thresholds() -> None:
    sla = EvaluationPerformanceSLA()
    assert (sla.latency_seconds, sla.memory_overhead_bytes) == (5.0, 500_000_000)
    assert (sla.training_impact_percent, sla.gpu_utilization_percent) == (5.0, 80.0)


def test_a_specs_thresholds_are_taken_over() -> None:
    sla = EvaluationPerformanceSLA.of(Thresholds(latency_seconds=7, gpu_utilization_percent=50))
    assert sla == EvaluationPerformanceSLA(latency_seconds=7, gpu_utilization_percent=50)


@pytest.mark.parametrize(
    ("name", "at", "above"),
    [
        ("latency_seconds", 5.0, 5.001),
        ("memory_overhead_bytes", 500_000_000, 500_000_001),
        ("training_impact_percent", 5.0, 5.1),
        ("gpu_utilization_percent", 80.0, 80.5),
        ("evaluation_latency_ms", 5000, 5001),
        ("memory_overhead_mb", 500, 500.1),
    ],
)
def test_each_threshold_is_the_most_that_is_allowed(name: str, at: float, above: float) -> None:
    assert EvaluationPerformanceSLA().validate({name: at}) == (True, [])
    passed, violations = EvaluationPerformanceSLA().validate({name: above})
    assert not passed
    assert [violation.metric in name or name.startswith(("evaluation", "memory")) for violation in violations] == [True]


def test_what_was_not_measured_violates_nothing() -> None:
    assert EvaluationPerformanceSLA().validate({"training_impact_percent": None}).passed


def test_an_unknown_name_and_no_number_are_refused() -> None:
    with pytest.raises(ValueError, match="latency is no service level reading; there are latency_seconds"):
        EvaluationPerformanceSLA().validate({"latency": 1.0})
    with pytest.raises(ValueError, match="leave out"):
        EvaluationPerformanceSLA().validate({"latency_seconds": float("nan")})


def test_a_breach_is_told_with_its_unit_and_its_threshold() -> None:
    violations = EvaluationPerformanceSLA().validate({"memory_overhead_mb": 612.4, "latency_seconds": 7.5}).violations
    assert [describe(violation) for violation in violations] == [
        "latency_seconds: 7.5 s is above the threshold of 5 s",
        "memory_overhead_bytes: 612.4 MB is above the threshold of 500 MB",
    ]


def test_wandb_is_told_of_every_reading_and_every_violation() -> None:
    readings = EvaluationPerformanceSLA().readings(
        {
            SlaMetric.LATENCY_SECONDS: 6.0,
            SlaMetric.MEMORY_OVERHEAD_BYTES: 1.0,
            SlaMetric.GPU_UTILIZATION_PERCENT: "no GPU is used",
        }
    )
    assert wandb_values(Sla.of(readings)) == {
        "evaluation/sla/passed": False,
        "evaluation/sla/violation_count": 1,
        "evaluation/sla/latency_seconds": 6.0,
        "evaluation/sla/violations/latency_seconds": 1,
        "evaluation/sla/memory_overhead_bytes": 1.0,
        "evaluation/sla/violations/memory_overhead_bytes": 0,
    }


def test_training_impact_is_the_loss_of_its_rate() -> None:
    assert training_impact_percent(10.0, 9.0) == pytest.approx(10.0)
    assert training_impact_percent(10.0, 11.0) == 0.0
    with pytest.raises(ValueError, match="at least one step"):
        training_impact_percent(0.0, 1.0)


def test_importing_the_module_imports_no_torch() -> None:
    code = "import hantei_evaluator.performance, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
