"""The four service level readings against their thresholds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from hantei_api.provenance import Sla, SlaMetric, SlaReading
from hantei_api.spec import Sla as Thresholds

_DEFAULT: Final = Thresholds()
_REASON_CHARACTERS: Final = 256
_UNITS: Final = {
    SlaMetric.LATENCY_SECONDS: (1.0, "s"),
    SlaMetric.MEMORY_OVERHEAD_BYTES: (1e-6, "MB"),
    SlaMetric.TRAINING_IMPACT_PERCENT: (1.0, "%"),
    SlaMetric.GPU_UTILIZATION_PERCENT: (1.0, "%"),
}
_KEISEI: Final = {
    "evaluation_latency_ms": (SlaMetric.LATENCY_SECONDS, 1e-3),
    "memory_overhead_mb": (SlaMetric.MEMORY_OVERHEAD_BYTES, 1e6),
}
"""Keisei's names for the readings that have another unit there, and the factor to ours; its other two are named alike."""


class Validation(NamedTuple):
    """Whether metrics keep to the thresholds, and the readings that don't."""

    passed: bool
    violations: list[SlaReading]


@dataclass(frozen=True, kw_only=True)
class EvaluationPerformanceSLA:
    """The most that an evaluation may cost; the defaults are Keisei's thresholds, and those of ``spec.sla``."""

    latency_seconds: float = _DEFAULT.latency_seconds
    """Wall time of the evaluation itself: 5 s (5,000 ms)."""
    memory_overhead_bytes: float = _DEFAULT.memory_overhead_bytes
    """Peak device memory plus growth of resident memory: 500 MB."""
    training_impact_percent: float = _DEFAULT.training_impact_percent
    """Loss of training throughput: 5 %."""
    gpu_utilization_percent: float = _DEFAULT.gpu_utilization_percent
    """Mean GPU utilisation: 80 %."""

    @classmethod
    def of(cls, thresholds: Thresholds) -> "EvaluationPerformanceSLA":
        """The thresholds of a spec."""
        return cls(**{metric.value: getattr(thresholds, metric.value) for metric in SlaMetric})

    def threshold(self, metric: SlaMetric) -> float:
        """The most that is allowed, in the unit of the metric's name."""
        return float(getattr(self, metric.value))

    def readings(self, values: Mapping[SlaMetric, float | str]) -> list[SlaReading]:
        """All four readings; a text says why a reading could not be taken."""
        found = []
        for metric in SlaMetric:
            value = values.get(metric, "not measured")
            threshold = self.threshold(metric)
            if isinstance(value, str):
                found.append(SlaReading(metric=metric, threshold=threshold, reason=value[:_REASON_CHARACTERS]))
            else:
                found.append(SlaReading(metric=metric, value=value, threshold=threshold))
        return found

    def validate(self, metrics: Mapping[str, float | None]) -> Validation:
        """Judge metrics by name: those of SlaMetric, or Keisei's ``evaluation_latency_ms`` and ``memory_overhead_mb``.

        None, or a metric that is not there, was not measured and violates nothing. Raises ValueError for a name that is
        no reading's and for a value that is no number.
        """
        values: dict[SlaMetric, float | str] = {}
        for name, value in metrics.items():
            metric, factor = _metric(name)
            if value is None:
                continue
            if not math.isfinite(value):
                raise ValueError(f"{name} is {value}: leave out, or give as None, what was not measured")
            values[metric] = value * factor
        violations = [reading for reading in self.readings(values) if reading.violated]
        return Validation(not violations, violations)


def _metric(name: str) -> tuple[SlaMetric, float]:
    if name in _KEISEI:
        return _KEISEI[name]
    try:
        return SlaMetric(name), 1.0
    except ValueError:
        known = ", ".join([*SlaMetric, *_KEISEI])
        raise ValueError(f"{name} is no service level reading; there are {known}") from None


def describe(reading: SlaReading) -> str:
    """A reading above its threshold, in words."""
    factor, unit = _UNITS[reading.metric]
    value = (reading.value or 0.0) * factor
    return (
        f"{reading.metric.value}: {value:.4g} {unit} is above the threshold of {reading.threshold * factor:.4g} {unit}"
    )


def wandb_values(sla: Sla) -> dict[str, float | int | bool]:
    """The readings as W&B shows them: each value, whether all passed, and each violation as 0 or 1."""
    values: dict[str, float | int | bool] = {
        "evaluation/sla/passed": sla.passed,
        "evaluation/sla/violation_count": len(sla.violations),
    }
    for reading in sla.readings:
        if reading.value is not None:
            values[f"evaluation/sla/{reading.metric.value}"] = reading.value
            values[f"evaluation/sla/violations/{reading.metric.value}"] = int(reading.violated)
    return values


def training_impact_percent(alone_per_second: float, beside_per_second: float) -> float:
    """Loss of a training's throughput beside an evaluation, in percent of what it does alone; never below 0.

    Both are rates of the same training, for example optimiser steps per second. Raises ValueError when the rate alone
    is not above 0.
    """
    if not alone_per_second > 0:
        raise ValueError(f"the training's rate alone is {alone_per_second}/s: measure it over at least one step")
    return max(100.0 * (1.0 - beside_per_second / alone_per_second), 0.0)
