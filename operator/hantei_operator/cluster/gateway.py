"""Every call that changes the cluster, and the few reads that no informer serves.

A write is a method marked ``@write``: it is refused unless this process leads, takes 2.5 s at most, is counted, and
can be made to crash the process before or after it is sent (``HANTEI_FAILPOINT``, for tests of crash safety).
"""

import asyncio
import contextlib
import functools
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from prometheus_client import CollectorRegistry, Counter

from hantei_operator.cluster import paths
from hantei_operator.cluster.client import Body, Client
from hantei_operator.cluster.errors import AlreadyExists, ApiError, NotFound

WRITE_TIMEOUT_SECONDS = 2.5
READ_TIMEOUT_SECONDS = 5.0
THREADS = 12

P = ParamSpec("P")
R = TypeVar("R")

WRITES: list[str] = []
"""The names of all writes, filled in by ``write``: the sweep over crash points goes through them."""


class Leadership(Protocol):
    """Whoever knows whether this process may write."""

    def assert_held(self) -> None:
        """Raise NotLeading unless the Lease is held right now."""


class Failpoint:
    """``HANTEI_FAILPOINT=before:create_job:1`` kills the process before its first create_job is sent."""

    def __init__(self, text: str) -> None:
        self._when, self._write, count = text.split(":") if text else ("", "", "0")
        self._left = int(count)

    def reached(self, when: str, write: str) -> None:
        """Kill the process like SIGKILL would, when this is the place."""
        if (when, write) == (self._when, self._write):
            self._left -= 1
            if self._left == 0:
                os._exit(137)


def write(
    method: Callable[Concatenate["Gateway", P], R],
) -> Callable[Concatenate["Gateway", P], Coroutine[Any, Any, R]]:
    """Mark a blocking method of the gateway as a write and make it awaitable."""
    name = method.__name__

    def send(self: "Gateway", /, *args: P.args, **kwargs: P.kwargs) -> R:
        self.failpoint.reached("before", name)
        self.leadership.assert_held()
        try:
            answer = method(self, *args, **kwargs)
        except ApiError as error:
            self.writes_total.labels(name, type(error).__name__).inc()
            raise
        self.writes_total.labels(name, "ok").inc()
        self.failpoint.reached("after", name)
        return answer

    @functools.wraps(method)
    async def call(self: "Gateway", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.in_thread(functools.partial(send, self, *args, **kwargs))

    WRITES.append(name)
    return call


class Gateway:
    """The API server, as the reconciler sees it."""

    def __init__(self, client: Client, leadership: Leadership, registry: CollectorRegistry) -> None:
        self.client = client
        self.leadership = leadership
        self.failpoint = Failpoint(os.environ.get("HANTEI_FAILPOINT", ""))
        self.writes_total = Counter(
            "hantei_api_writes", "Writes to the API server by outcome.", ["write", "outcome"], registry=registry
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="gateway")

    async def in_thread(self, function: Callable[[], R]) -> R:
        """Run a blocking call without holding up the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    async def get_run(self, namespace: str, name: str) -> Body:
        """An EvaluationRun, live."""
        return await self._get(paths.path(paths.RUNS, namespace, name))

    async def get_job(self, namespace: str, name: str) -> Body:
        """A Job, live."""
        return await self._get(paths.path(paths.JOBS, namespace, name))

    async def get_claim(self, namespace: str, name: str) -> Body:
        """A PersistentVolumeClaim, live."""
        return await self._get(paths.path(paths.CLAIMS, namespace, name))

    async def list_pods(self, namespace: str) -> list[Body]:
        """All pods of a namespace, ours and others', to see who mounts a volume now."""
        pods: list[Body] = (await self._get(paths.path(paths.PODS, namespace))).get("items", [])
        return pods

    async def list_events(self, namespace: str, involved_uid: str) -> list[Body]:
        """The Events about one object, oldest first."""
        query = {"fieldSelector": f"involvedObject.uid={involved_uid}", "limit": 50}
        events: list[Body] = (await self._get(paths.path(paths.EVENTS, namespace), query)).get("items", [])
        return sorted(events, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")

    async def _get(self, path: str, query: Body | None = None) -> Body:
        answer: Body = await self.in_thread(
            functools.partial(self.client.call, "GET", path, query=query, timeout_seconds=READ_TIMEOUT_SECONDS)
        )
        return answer

    def _write(self, method: str, path: str, body: Body) -> Body:
        return self.client.call(method, path, body=body, timeout_seconds=WRITE_TIMEOUT_SECONDS)

    def _delete(self, path: str, uid: str) -> None:
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        }
        try:
            self._write("DELETE", path, body)
        except NotFound:
            pass
        except ApiError as error:
            if error.status != 409:  # a precondition that fails: the object of that UID is gone
                raise

    @write
    def patch_run_status(self, namespace: str, name: str, resource_version: str, patch: Body) -> Body:
        """Merge into a run's status, if nobody has written the run since ``resource_version``."""
        body = {"metadata": {"resourceVersion": resource_version}, "status": patch}
        return self._write("PATCH", paths.path(paths.RUNS, namespace, name, subresource="status"), body)

    @write
    def create_job(self, namespace: str, body: Body) -> Body:
        """Create an attempt's Job; AlreadyExists is for the caller to adopt."""
        return self._write("POST", paths.path(paths.JOBS, namespace), body)

    @write
    def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete a Job, and its pods in the background."""
        self._delete(paths.path(paths.JOBS, namespace, name), uid)

    @write
    def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        """Delete a pod with its grace period: never by force."""
        self._delete(paths.path(paths.PODS, namespace, name), uid)

    @write
    def lower_deadline(self, namespace: str, pod_name: str, uid: str) -> None:
        """Let the kubelet stop a pod within a second; pod and termination message stay."""
        body = {"metadata": {"uid": uid}, "spec": {"activeDeadlineSeconds": 1}}
        try:
            self._write("PATCH", paths.path(paths.PODS, namespace, pod_name), body)
        except NotFound:
            pass
        except ApiError as error:
            if "metadata.uid" not in error.message:  # a UID that differs: the pod that was meant is gone
                raise

    @write
    def delete_run(self, namespace: str, name: str, uid: str) -> None:
        """Delete a run whose time to live is over."""
        self._delete(paths.path(paths.RUNS, namespace, name), uid)

    @write
    def create_event(self, namespace: str, event: Body) -> None:
        """Create an Event; one that is there already is the same transition."""
        with contextlib.suppress(AlreadyExists):
            self._write("POST", paths.path(paths.EVENTS, namespace), event)


def status_patch(old: Body, new: Body) -> Body:
    """The JSON merge patch that makes ``old`` into ``new``: removed keys become null, lists are replaced whole."""
    patch: Body = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := status_patch(before, value):
                patch[key] = inner
        elif value != before:
            patch[key] = value
    return patch
