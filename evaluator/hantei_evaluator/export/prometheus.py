"""Service levels, resources, pace and progress, for a scrape of the running evaluation; in base units."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from hantei_api.provenance import SlaMetric, SlaReading
from hantei_evaluator.run.session import Session

PREFIX = "hantei_evaluation"
_HELP = {
    SlaMetric.LATENCY_SECONDS: "Wall time of the evaluation itself, so far",
    SlaMetric.MEMORY_OVERHEAD_BYTES: "Peak device memory plus growth of resident memory",
    SlaMetric.TRAINING_IMPACT_PERCENT: "Loss of training throughput",
    SlaMetric.GPU_UTILIZATION_PERCENT: "Mean GPU utilisation",
}
_ONLY_GROWING = frozenset({SlaMetric.LATENCY_SECONDS, SlaMetric.MEMORY_OVERHEAD_BYTES})
"""Once above the threshold they stay there; a mean is judged when it is final."""


class EvaluationCollector(Collector):
    """Reads the session at each scrape, so that a reading that can't be taken is absent."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @override
    def collect(self) -> Iterable[Metric]:
        session = self._session
        readings = session.readings()
        for reading in readings:
            family = GaugeMetricFamily(f"{PREFIX}_sla_{reading.metric.value}", _HELP[reading.metric])
            if reading.value is not None:
                family.add_metric([], reading.value)
            yield family
        yield _by_metric(
            GaugeMetricFamily(
                f"{PREFIX}_sla_threshold", "The most that the run allows, in the metric's unit", labels=["metric"]
            ),
            readings,
            lambda reading: reading.threshold,
        )
        yield _by_metric(
            CounterMetricFamily(f"{PREFIX}_sla_violations", "Readings above their threshold", labels=["metric"]),
            readings,
            lambda reading: float(reading.violated and (session.frozen or reading.metric in _ONLY_GROWING)),
        )
        yield from _resources(session)
        yield from _pace(session)
        progress = session.progress.snapshot()
        yield GaugeMetricFamily(f"{PREFIX}_samples_done", "Samples evaluated so far", value=progress.done)
        if progress.total is not None:
            yield GaugeMetricFamily(f"{PREFIX}_samples", "Samples in all", value=progress.total)


def _resources(session: Session) -> Iterable[Metric]:
    """What the evaluation uses; readings that can't be taken are absent."""
    if session.resources is not None:
        seen = session.resources.readings()
        yield _by_statistic(
            "cpu_ratio",
            "Use of the cores given, by the evaluator and its descendants",
            {"mean": seen.cpu_percent, "peak": seen.cpu_peak_percent},
            percent=True,
        )
        yield _by_statistic(
            "resident_memory_bytes",
            "Resident memory of the evaluator and its descendants",
            {"now": seen.resident_bytes, "peak": seen.resident_peak_bytes},
        )
        yield _by_statistic(
            "torch_memory_bytes",
            "Device memory of torch's allocator at most, without the CUDA context",
            {"allocated": seen.torch_allocated_peak_bytes, "reserved": seen.torch_reserved_peak_bytes},
        )
        yield _by_statistic(
            "gpu_utilization_ratio",
            "Share of time in which any process computed on the GPU",
            {"mean": seen.gpu_utilization_percent, "peak": seen.gpu_utilization_peak_percent},
            percent=True,
        )
        yield _by_statistic(
            "gpu_memory_bytes",
            "Memory of the whole GPU: used by all processes at most, and there in all",
            {"used": seen.gpu_memory_used_peak_bytes, "total": seen.gpu_memory_total_bytes},
        )
    if session.memory_limit is not None:
        yield _by_statistic(
            "memory_limit_bytes",
            "The container's memory limit, and its use without page cache",
            {"limit": session.memory_limit.limit_bytes, "used": session.memory_limit.used_bytes()},
        )


def _pace(session: Session) -> Iterable[Metric]:
    """What politeness comes to: the duty cycle asked for, the one held now, and the one achieved."""
    if session.pace is not None:
        paced = session.pace.paced()
        yield _by_statistic(
            "duty_cycle_ratio",
            "Share of wall time in forward passes since the first: asked for, held now, achieved",
            {
                "setting": session.task.politeness.duty_cycle_percent,
                "allowed": paced.allowed_percent,
                "achieved": paced.duty_cycle_percent,
            },
            percent=True,
        )
        yield CounterMetricFamily(
            f"{PREFIX}_forward_seconds", "Time in forward passes, by the device's clock", value=paced.forward_seconds
        )


def _by_statistic(name: str, text: str, values: dict[str, float | None], *, percent: bool = False) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=["statistic"])
    for statistic, value in values.items():
        if value is not None:
            family.add_metric([statistic], value / 100 if percent else value)
    return family


def registry_of(session: Session) -> CollectorRegistry:
    """A registry of this evaluation's own."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(EvaluationCollector(session))
    return registry


def _by_metric(
    family: GaugeMetricFamily | CounterMetricFamily, readings: list[SlaReading], value: Callable[[SlaReading], float]
) -> Metric:
    for reading in readings:
        family.add_metric([reading.metric.value], value(reading))
    return family
