"""The four service level readings, their thresholds and violations, for a scrape of the running evaluation."""

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
        progress = session.progress.snapshot()
        yield GaugeMetricFamily(f"{PREFIX}_samples_done", "Samples evaluated so far", value=progress.done)
        if progress.total is not None:
            yield GaugeMetricFamily(f"{PREFIX}_samples", "Samples in all", value=progress.total)


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
