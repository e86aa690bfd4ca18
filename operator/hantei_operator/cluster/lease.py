"""Who may write: one process at a time, the holder of a Lease.

Safety rests on durations, never on the clocks of two machines agreeing. The holder counts from the start of its last
successful renewal and stops to write after ``renew_deadline_seconds``; a candidate counts from when it saw the Lease change
and takes over after ``lease_duration_seconds``. A write ends 2.5 s after it was allowed at the latest, and 5 + 2.5 < 8.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from hantei_operator.cluster.client import Body, Client
from hantei_operator.cluster.errors import AlreadyExists, ApiError, Conflict, NotFound, NotLeading
from hantei_operator.cluster.paths import LEASES, path

logger = logging.getLogger(__name__)

LEASE_TIMEOUT_SECONDS = 2.0
WRITE_SECONDS = 2.5
"""How long a write that was allowed may be under way."""
EXIT_CODE = 3
"""Leadership is lost: start again as a candidate."""


class Lease:
    """One candidate for, or the holder of, a Lease.

    Parameters
    ----------
    client
        How to call.
    namespace, name
        The Lease; created when absent.
    identity
        Unique to this process, not only to its pod: a restarted container is another candidate.
    lease_duration_seconds
        How long a candidate waits for a holder that shows no sign of life.
    renew_deadline_seconds
        How long the holder may write after the start of its last successful renewal; then the process ends.
    retry_seconds
        Between two tries.
    clock
        Monotonic seconds.
    leave
        Ends the process at once.
    pause
        Waits for some seconds.
    """

    def __init__(  # noqa: PLR0913  # durations, clock and exit are for tests
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        lease_duration_seconds: float = 8.0,
        renew_deadline_seconds: float = 5.0,
        retry_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        leave: Callable[[int], object] = os._exit,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self.identity = identity
        self._client = client
        self._collection = path(LEASES, namespace)
        self._item = path(LEASES, namespace, name)
        self._name = name
        self._lease_duration_seconds = lease_duration_seconds
        self._renew_deadline_seconds = renew_deadline_seconds
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._leave = leave
        self._pause = pause
        self._allowed_at = float("-inf")
        """When a write was last allowed."""
        self._renewed_at: float | None = None
        self._known: Body | None = None
        self._seen_version = ""
        self._seen_at = 0.0
        self._leading = asyncio.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start to try; call on the running event loop."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._keep, args=(loop,), name="lease", daemon=True)
        self._thread.start()

    async def wait_until_leading(self) -> None:
        """Wait until this process holds the Lease. It never stops to: when the Lease is lost, the process ends."""
        await self._leading.wait()

    @property
    def is_leading(self) -> bool:
        """Whether this process may write now."""
        return self._seconds_left() > 0

    def assert_held(self) -> None:
        """Raise NotLeading unless this process may write now; cheap, asked right before each write."""
        if self._renewed_at is None:
            raise NotLeading("this process does not hold the Lease")
        if self._seconds_left() <= 0:
            raise NotLeading(f"the Lease was last renewed more than {self._renew_deadline_seconds:g} s ago")
        self._allowed_at = self._clock()

    def release(self) -> None:
        """Stop, and let the next candidate in once the last write that was allowed has ended. Blocks for up to 9 s."""
        self._stopped.set()
        held = self.is_leading
        self._renewed_at = None
        if self._thread is not None:
            self._thread.join(timeout=2 * LEASE_TIMEOUT_SECONDS)
        self._renewed_at = None
        if not held or self._known is None:
            return
        self._pause(max(0.0, self._allowed_at + WRITE_SECONDS - self._clock()))
        try:
            self._write(self._known, holder="", duration_seconds=1)
        except ApiError as error:
            logger.warning("the Lease was not released, the next leader waits for it to run out: %s", error)

    def attempt(self) -> bool:
        """Try once to get or keep the Lease. Raises ApiError when the API server doesn't do its part."""
        if self._known is not None and _holder(self._known) == self.identity:
            try:
                return self._hold(self._known)
            except Conflict:
                # An earlier renewal may have been done without its answer reaching us.
                self._known = None
        try:
            lease = self._call("GET", self._item)
        except NotFound:
            return self._create()
        if _holder(lease) in {"", self.identity}:
            return self._take(lease)
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen_version:
            self._seen_version, self._seen_at = version, self._clock()
            return False
        # Ours, or the holder's own if it was configured to hold longer.
        duration = max(self._lease_duration_seconds, float(lease["spec"].get("leaseDurationSeconds") or 0))
        return self._clock() - self._seen_at >= duration and self._take(lease)

    def check(self) -> float:
        """End the process if it held the Lease and may not write any more. Returns the seconds that are left."""
        left = self._seconds_left()
        if self._renewed_at is not None and left <= 0 and not self._stopped.is_set():
            logger.critical("the Lease was not renewed for %g s: ending this process", self._renew_deadline_seconds)
            self._leave(EXIT_CODE)
        return left

    def _keep(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._stopped.is_set():
            led = self._renewed_at is not None
            try:
                held = self.attempt()
            except ApiError as error:
                logger.warning("the Lease could not be %s: %s", "renewed" if led else "looked at", error)
            except Exception:
                logger.exception("the Lease could not be %s", "renewed" if led else "looked at")
            else:
                if held and not led:
                    logger.info("leading as %s", self.identity)
                    threading.Thread(target=self._watchdog, name="lease watchdog", daemon=True).start()
                    loop.call_soon_threadsafe(self._leading.set)
                elif led and not held and not self._stopped.is_set():
                    logger.critical("another process holds the Lease: ending this one")
                    self._leave(EXIT_CODE)
            self._stopped.wait(self._retry_seconds)

    def _watchdog(self) -> None:
        while not self._stopped.wait(max(self.check(), 0.05)):
            pass

    def _seconds_left(self) -> float:
        renewed_at = self._renewed_at
        return 0.0 if renewed_at is None else renewed_at + self._renew_deadline_seconds - self._clock()

    def _create(self) -> bool:
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": self._name}, "spec": {}}
        try:
            lease = self._call("POST", self._collection, body)
        except AlreadyExists:
            return False
        return self._take(lease)

    def _take(self, lease: Body) -> bool:
        """Try to become the holder of a Lease that is free; somebody else may be faster."""
        try:
            return self._hold(lease)
        except Conflict:
            return False

    def _hold(self, lease: Body) -> bool:
        started_at = self._clock()
        self._known = self._write(lease, holder=self.identity, duration_seconds=self._lease_duration_seconds)
        self._renewed_at = started_at
        return True

    def _write(self, lease: Body, *, holder: str, duration_seconds: float) -> Body:
        """Write the Lease, if it is still the version that was read. Raises Conflict. People read the times, nobody here."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = dict(lease.get("spec") or {})
        if holder and spec.get("holderIdentity") != holder:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        spec |= {"holderIdentity": holder, "renewTime": now, "leaseDurationSeconds": max(1, round(duration_seconds))}
        return self._call("PUT", self._item, {**lease, "spec": spec})

    def _call(self, method: str, item: str, body: Body | None = None) -> Body:
        return self._client.call(method, item, body=body, timeout_seconds=LEASE_TIMEOUT_SECONDS)


def _holder(lease: Body) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")
