"""The operator's own metrics: bounded labels, never a run's name."""

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hantei_operator.domain.facts import RunFacts

RUN_BUCKETS = (1, 5, 10, 30, 60, 120, 180, 240, 270, 300, 330, 600, 1800, 3600)


class Metrics:
    """What the operator counts and times; the registry is handed in, so that tests have their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.reconcile_seconds = Histogram(
            "hantei_reconcile_duration_seconds",
            "Time of one look at a run, its API writes included.",
            registry=registry,
        )
        self.reconcile_errors = Counter(
            "hantei_reconcile_errors",
            "Looks at a run that failed and are made again, by error.",
            ["error"],
            registry=registry,
        )
        self.leader = Gauge(
            "hantei_leader", "1 while this process leads and writes, 0 on a standby.", registry=registry
        )
        self._finished = Counter("hantei_runs_finished", "Finished runs by reason.", ["reason"], registry=registry)
        self._queue_seconds = Histogram(
            "hantei_run_queue_duration_seconds", "Wait for capacity and a node.", buckets=RUN_BUCKETS, registry=registry
        )
        self._run_seconds = Histogram(
            "hantei_run_duration_seconds", "From the pod's binding to its end.", buckets=RUN_BUCKETS, registry=registry
        )
        self._gpu_seconds = Counter(
            "hantei_run_gpu_seconds", "GPU-seconds held by evaluations, by use.", ["use"], registry=registry
        )
        self._sla_violations = Counter(
            "hantei_run_sla_violations",
            "Finished runs by the service level they missed.",
            ["metric"],
            registry=registry,
        )
        self._last_success = Gauge(
            "hantei_run_last_success_timestamp_seconds", "When a run last succeeded.", registry=registry
        )
        info = Gauge("hantei_build_info", "The operator's version.", ["version"], registry=registry)
        info.labels(version("hantei")).set(1)

    def run_finished(self, run: RunFacts) -> None:
        """Count a run that has just ended."""
        status = run.status
        if status.reason is None:
            return
        self._finished.labels(status.reason.value).inc()
        if status.finished_at is not None and status.phase.value == "Succeeded":
            self._last_success.set(status.finished_at.timestamp())
        for metric in status.sla.violations if status.sla else ():
            self._sla_violations.labels(metric.value).inc()
        if status.clocks is not None:
            self._queue_seconds.observe(status.clocks.queued)
            self._run_seconds.observe(status.clocks.starting + status.clocks.running)
        if status.gpu_seconds is not None:
            for use, seconds in status.gpu_seconds.model_dump().items():
                self._gpu_seconds.labels(use).inc(seconds)
