"""Look at a run, ask ``plan()``, write the status, do the actions, and look again when a clock strikes.

A key is worked on by one task at a time. Reservations are decided one after the other under a lock, up to the
answer of the API server, so two runs can't take the same slot.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from hantei_api.status import Progress
from hantei_operator.cluster.errors import AlreadyExists, ApiError, Conflict, NotFound, NotLeading
from hantei_operator.cluster.events import build_event
from hantei_operator.cluster.facts import claim_facts, claim_users, event_facts, job_facts
from hantei_operator.cluster.gateway import Gateway, status_patch
from hantei_operator.cluster.informer import Informer
from hantei_operator.cluster.manifests import build_job
from hantei_operator.cluster.tasks import claims_of
from hantei_operator.domain.actions import (
    Action,
    Announce,
    CreateJob,
    DeleteJob,
    DeletePod,
    DeleteRun,
    LookAtEvents,
    LowerDeadline,
    Plan,
)
from hantei_operator.domain.facts import EventFacts, JobFacts, Observed, PodFacts, RunFacts
from hantei_operator.domain.names import job_name
from hantei_operator.domain.plan import plan
from hantei_operator.domain.volumes import Placement, placement
from hantei_operator.ledger import Key, Ledger
from hantei_operator.memory import Memories
from hantei_operator.metrics import Metrics
from hantei_operator.settings import Settings

logger = logging.getLogger(__name__)

WORKERS = 8
RETRY_BASE_SECONDS = 0.5
RETRY_CAP_SECONDS = 15.0


def utc_now() -> datetime:
    """The operator's own clock."""
    return datetime.now(UTC)


class Reconciler:
    """Brings every run to its end, one small step at a time."""

    def __init__(  # the composition root hands in each collaborator once
        self,
        *,
        gateway: Gateway,
        runs: Informer[RunFacts],
        jobs: Informer[JobFacts],
        pods: Informer[PodFacts],
        settings: Settings,
        metrics: Metrics,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._gateway, self._settings, self._metrics, self._clock = gateway, settings, metrics, clock
        self._runs, self._jobs, self._pods = runs, jobs, pods
        self._ledger = Ledger(settings.evaluations.max_concurrent, runs.get)
        self.memories = Memories()
        self._queue: asyncio.Queue[Key] = asyncio.Queue()
        self._pending: set[Key] = set()
        self._busy: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._reserving = asyncio.Lock()

    def wake(self, key: Key) -> None:
        """Look at a run soon. Called on the loop; waking a woken key again costs nothing."""
        if key not in self._pending:
            self._pending.add(key)
            if key not in self._busy:
                self._queue.put_nowait(key)

    def run_changed(self, old: RunFacts | None, new: RunFacts | None) -> None:
        """Take in a change of a run."""
        run = new or old
        if run is None:
            return
        key = (run.namespace, run.name)
        if new is None or (old is not None and old.uid != new.uid):
            self.memories.forget(key)
        if self._ledger.note(key, new):
            for waiting in self._ledger.next_in_line(self._clock()):
                self.wake(waiting)
        if old is None or new is None or new.status.finished:
            for held in self._ledger.held_by(key):
                self.wake(held)
        self.wake(key)

    def job_changed(self, old: JobFacts | None, new: JobFacts | None) -> None:
        """Take in a change of a Job."""
        job = new or old
        if job is not None and (key := self._key_of(job.namespace, job.run_name, job.run_uid)):
            if new is not None and new.attempt == self._attempt(key):
                self.memories.see_job(key, new)
            self.wake(key)

    def pod_changed(self, old: PodFacts | None, new: PodFacts | None) -> None:
        """Take in a change of a pod; a deleted one's final state is what ``old`` holds."""
        pod = new or old
        if pod is not None and (key := self._owner_key(pod)):
            if pod.attempt == self._attempt(key):
                self.memories.see_pod(key, pod)
            self.wake(key)

    def progress(self, pod: PodFacts, progress: Progress) -> None:
        """Take in how far an evaluation says it is."""
        key = self._owner_key(pod)
        if key and pod.attempt == self._attempt(key):
            self.memories.see_progress(key, pod.attempt, progress)
            self.wake(key)

    async def work(self) -> None:
        """Serve woken keys until cancelled, or until this process no longer leads."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._worker())

    async def _worker(self) -> None:
        while True:
            key = await self._queue.get()
            self._pending.discard(key)
            self._busy.add(key)
            try:
                with self._metrics.reconcile_seconds.time():
                    await self._attend(key)
            finally:
                self._busy.discard(key)
                if key in self._pending:
                    self._queue.put_nowait(key)

    async def _attend(self, key: Key) -> None:
        """One look at a run, with every failure turned into another look later."""
        try:
            wake_after_seconds = await self.reconcile(key)
            self._failures.pop(key, None)
        except NotLeading:
            raise
        except Conflict:
            await self._refresh(key)
            wake_after_seconds = 0.05
        except Exception as error:  # one run's trouble must not end the others
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            wake_after_seconds = min(RETRY_CAP_SECONDS, RETRY_BASE_SECONDS * 2 ** (failures - 1))
            self._metrics.reconcile_errors.labels(type(error).__name__).inc()
            expected = isinstance(error, ApiError) and error.temporary
            logger.warning(
                "run %s/%s: %s; again in %.1f s", *key, error, wake_after_seconds, exc_info=None if expected else error
            )
        self._wake_after(key, wake_after_seconds)

    async def reconcile(self, key: Key) -> float | None:
        """Take one step for a run; returns the seconds until the next look, None when only an event can bring news."""
        run = self._runs.get(*key)
        if run is None:
            return None
        if run.status.finished or (run.status.attempts and run.status.attempts[-1].reason is None):
            step = self._plan(run)
            run = await self._write(run, step)
        else:
            async with self._reserving:
                run = self._runs.get(*key) or run
                step = self._plan(run)
                run = await self._write(run, step)
        for action in step.actions:
            await self._do(run, action)
        if step.status is not None and run.status.finished and run.status.reason is not None:
            self._metrics.run_finished(run)
        return step.wake_after_seconds

    def _plan(self, run: RunFacts) -> Plan:
        now = self._clock()
        key = (run.namespace, run.name)
        free, ahead = self._ledger.look(run, now)
        observed = Observed(
            run=run,
            jobs=tuple(job for job in self._jobs.by_run(run.uid) if job.run_uid == run.uid),
            pods=tuple(pod for pod in self._pods.by_run(run.uid) if self._owner_key(pod) == key),
            memory=self.memories.of(key, run.status.attempts[-1].number if run.status.attempts else 0),
            baseline=self._ledger.baseline_of(run),
            slot_free=free,
            runs_ahead=ahead,
        )
        return plan(observed, now, self._settings.policy)

    async def _write(self, run: RunFacts, step: Plan) -> RunFacts:
        """Write the planned status, if it is another one, and take the answer into the store at once."""
        if step.status is None:
            return run
        patch = status_patch(run.status.to_body(), step.status.to_body())
        if not patch:
            return run
        body = await self._gateway.patch_run_status(run.namespace, run.name, run.resource_version, patch)
        self._runs.put(body)
        key = (run.namespace, run.name)
        self.memories.wrote(key, step.status.attempts[-1].number if step.status.attempts else 0, self._clock())
        return self._runs.get(*key) or run

    async def _do(self, run: RunFacts, action: Action) -> None:
        match action:
            case CreateJob():
                await self._create_job(run, action)
            case DeleteJob(name, uid):
                await self._gateway.delete_job(run.namespace, name, uid)
            case DeletePod(name, uid):
                await self._gateway.delete_pod(run.namespace, name, uid)
            case LowerDeadline(name, uid):
                await self._gateway.lower_deadline(run.namespace, name, uid)
            case LookAtEvents(kind, uid):
                events = tuple(event_facts(body) for body in await self._gateway.list_events(run.namespace, uid))
                self._see_events(run, kind, events)
            case DeleteRun():
                await self._gateway.delete_run(run.namespace, run.name, run.uid)
            case Announce():
                event = build_event(run, action, self._clock())
                with contextlib.suppress(ApiError):  # an Event decorates; the status has it all
                    await self._gateway.create_event(run.namespace, event)

    async def _create_job(self, run: RunFacts, action: CreateJob) -> None:
        """Create the attempt's Job, adopt our own, and say whose it is when it is somebody else's."""
        key = (run.namespace, run.name)
        placed = await self._placement(run)
        try:
            body = build_job(
                run,
                action,
                self._settings,
                node=placed.node if placed else "",
                baseline=self._ledger.baseline_of(run),
            )
        except (ValueError, OverflowError) as error:
            self._refused(key, action.attempt, f"no Job can be made of the spec: {error}")
            return
        if placed:
            self.memories.see_placement(key, action.attempt, placed.message)
        try:
            answer = await self._gateway.create_job(run.namespace, body)
        except AlreadyExists:
            answer = await self._gateway.get_job(run.namespace, body["metadata"]["name"])
        except ApiError as error:
            if error.temporary or isinstance(error, NotFound):
                raise
            if error.status in {400, 422}:
                self._refused(key, action.attempt, error.message)
                return
            self._see_events(run, "Job", (EventFacts("FailedCreate", error.message),))
            return
        job = job_facts(answer)
        if job.run_uid != run.uid:
            whose = f"Job {job.name} exists and belongs to {job.run_uid or 'nobody'}, not to this run"
            self.memories.see_conflict(key, action.attempt, whose)
            self.wake(key)
            return
        self.memories.see_job(key, job)
        self._jobs.put(answer)

    def _refused(self, key: Key, attempt: int, why: str) -> None:
        """The same Job would be refused for ever: the run ends now instead of holding its slot."""
        self.memories.see_refusal(key, attempt, why)
        self.wake(key)

    async def _placement(self, run: RunFacts) -> Placement | None:
        """The node that the run's volumes ask for. A claim that is absent is the scheduler's to report."""
        names = claims_of(run, self._ledger.baseline_of(run))
        claims = []
        for name in sorted(names):
            with contextlib.suppress(NotFound):
                claims.append(claim_facts(await self._gateway.get_claim(run.namespace, name)))
        if not any(claim.one_node for claim in claims):
            return None
        return placement(claims, claim_users(await self._gateway.list_pods(run.namespace)))

    def _see_events(self, run: RunFacts, kind: str, events: tuple[EventFacts, ...]) -> None:
        key = (run.namespace, run.name)
        if self.memories.see_events(key, run.status.attempts[-1].number, kind, events):
            self.wake(key)

    async def _refresh(self, key: Key) -> None:
        """Somebody wrote the run first: take the newer state in without waiting for the watch."""
        with contextlib.suppress(ApiError):
            self._runs.put(await self._gateway.get_run(*key))

    def _wake_after(self, key: Key, wake_after_seconds: float | None) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if wake_after_seconds is not None:
            loop = asyncio.get_running_loop()
            self._timers[key] = loop.call_later(max(0.0, wake_after_seconds) + 0.01, self._strike, key)

    def _strike(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.wake(key)

    def _key_of(self, namespace: str, run_name: str, run_uid: str) -> Key | None:
        """The run of that name, unless it is another one that was created again under the name."""
        run = self._runs.get(namespace, run_name)
        return (namespace, run_name) if run is not None and run.uid == run_uid else None

    def _owner_key(self, pod: PodFacts) -> Key | None:
        """The run that a pod belongs to: labels alone can be anybody's, so its Job must be the attempt's own.

        A pod whose Job was deleted with --cascade=orphan has lost that reference; its name still begins with the Job's.
        """
        key = self._key_of(pod.namespace, pod.run_name, pod.run_uid)
        expected = job_name(pod.run_name, pod.run_uid, pod.attempt)
        orphan = not pod.job_name and pod.name.startswith(f"{expected}-")
        if key is None or not (orphan or pod.job_name == expected):
            return None
        job = self._jobs.get(pod.namespace, expected)
        return key if job is None or job.uid == pod.job_uid else None

    def running_pods(self) -> list[PodFacts]:
        """The evaluations that can be asked for their progress."""
        return [pod for pod in self._pods.values() if pod.ready_at and not pod.terminal and self._owner_key(pod)]

    def _attempt(self, key: Key) -> int:
        run = self._runs.get(*key)
        return run.status.attempts[-1].number if run and run.status.attempts else 0
