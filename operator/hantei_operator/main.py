"""The operator's process: wait for the Lease, look at everything once, then act on every change.

The process ends when it loses the Lease, when kopf ends, or when told to; Kubernetes starts it again as a standby.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import uuid
from pathlib import Path

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from hantei_api.names import RUN_LABEL
from hantei_operator.cluster import paths
from hantei_operator.cluster.client import Client, connect
from hantei_operator.cluster.errors import ApiError
from hantei_operator.cluster.facts import job_facts, pod_facts, run_facts
from hantei_operator.cluster.gateway import Gateway
from hantei_operator.cluster.informer import Informer
from hantei_operator.cluster.lease import Lease
from hantei_operator.health import Health
from hantei_operator.kopf_runner import KopfThread
from hantei_operator.metrics import Metrics
from hantei_operator.progress import poll
from hantei_operator.reconciler import Reconciler
from hantei_operator.settings import Settings, load

logger = logging.getLogger("hantei_operator")

EXIT_KOPF_ENDED = 4
STOP_SECONDS = 5.0


def main() -> None:
    """Run the operator."""
    parser = argparse.ArgumentParser(
        prog="hantei-operator", description="Evaluates checkpoints on a Kubernetes cluster."
    )
    parser.add_argument("--config", type=Path, help="YAML file of settings; without one the defaults hold")
    arguments = parser.parse_args()
    settings = load(arguments.config) if arguments.config else Settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    for chatty in ("kopf", "urllib3", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    asyncio.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Stand by, lead, and end when told to."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    metrics = Metrics(registry)
    client = connect()
    identity = f"{os.environ.get('POD_NAME') or socket.gethostname()}_{uuid.uuid4().hex[:8]}"
    lease = Lease(client, settings.lease_namespace, settings.lease_name, identity)
    health = Health(registry, lambda: lease.is_leading)
    web = await health.start(settings.http_port)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await _until_served(client, settings, stop)
    lease.start()
    if await _first(lease.wait_until_leading(), stop):
        metrics.leader.set(1)
        await _lead(settings, client, lease, metrics, health, stop)
    await asyncio.to_thread(lease.release)
    await web.cleanup()


async def _until_served(client: Client, settings: Settings, stop: asyncio.Event) -> None:
    """Wait until the API server serves our kind: kopf gives up on a resource that discovery doesn't list."""
    namespace = settings.watch_namespaces[0] if settings.watch_namespaces else None
    collection = paths.path(paths.RUNS, namespace)
    while not stop.is_set():
        try:
            await asyncio.to_thread(client.call, "GET", collection, query={"limit": 1}, timeout_seconds=5.0)
        except ApiError as error:
            logger.warning("waiting for the EvaluationRun CRD to be served: %s", error)
        else:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 2.0)


async def _lead(  # the composition root
    settings: Settings, client: Client, lease: Lease, metrics: Metrics, health: Health, stop: asyncio.Event
) -> None:
    """Follow the cluster and act, until told to stop. Losing the Lease ends the process, not this function."""
    loop = asyncio.get_running_loop()
    gateway = Gateway(client, lease, metrics.registry)
    namespaces = tuple(settings.watch_namespaces)
    reconciler: Reconciler
    runs = Informer(
        client,
        paths.RUNS,
        reduce=run_facts,
        on_change=lambda old, new: reconciler.run_changed(old, new),  # noqa: PLW0108  # bound below
        namespaces=namespaces,
    )
    jobs = Informer(
        client,
        paths.JOBS,
        reduce=job_facts,
        on_change=lambda old, new: reconciler.job_changed(old, new),  # noqa: PLW0108  # bound below
        label_selector=RUN_LABEL,
        namespaces=namespaces,
    )
    pods = Informer(
        client,
        paths.PODS,
        reduce=pod_facts,
        on_change=lambda old, new: reconciler.pod_changed(old, new),  # noqa: PLW0108  # bound below
        label_selector=RUN_LABEL,
        namespaces=namespaces,
    )
    reconciler = Reconciler(gateway=gateway, runs=runs, jobs=jobs, pods=pods, settings=settings, metrics=metrics)
    health.synced = lambda: runs.synced and jobs.synced and pods.synced
    health.age_seconds = lambda: max(runs.age_seconds(), jobs.age_seconds(), pods.age_seconds())
    runs.start(loop)
    jobs.start(loop)
    pods.start(loop)
    if not await _first(asyncio.gather(runs.wait_synced(), jobs.wait_synced(), pods.wait_synced()), stop):
        return
    logger.info("leading: %d runs, %d jobs, %d pods", len(runs.values()), len(jobs.values()), len(pods.values()))

    def wake(key: tuple[str, str]) -> None:
        loop.call_soon_threadsafe(reconciler.wake, key)

    kopf = KopfThread(wake, settings.watch_namespaces, lambda _: os._exit(EXIT_KOPF_ENDED))
    work = asyncio.ensure_future(reconciler.work())
    polling = asyncio.ensure_future(poll(reconciler.running_pods, reconciler.progress))
    kopf.start()
    await asyncio.wait({work, polling, stopping := asyncio.ensure_future(stop.wait())}, return_when="FIRST_COMPLETED")
    runs.stop()
    jobs.stop()
    pods.stop()
    for task in (work, polling, stopping):
        task.cancel()
    results = await asyncio.gather(work, polling, return_exceptions=True)
    await asyncio.to_thread(kopf.stop, STOP_SECONDS)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _first(awaited: object, stop: asyncio.Event) -> bool:
    """Wait for something, or to be stopped; True when it came."""
    wanted, stopped = asyncio.ensure_future(awaited), asyncio.ensure_future(stop.wait())  # type: ignore[call-overload]
    await asyncio.wait({wanted, stopped}, return_when="FIRST_COMPLETED")
    came: bool = wanted.done()
    for task in (wanted, stopped):
        task.cancel()
    return came
