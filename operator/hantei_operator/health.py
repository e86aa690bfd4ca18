"""/healthz, /readyz and /metrics: answered by the loop that does the work, so an answer means that it turns."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

STALE_SECONDS = 120.0
"""Watches carry bookmarks about once a minute: silence for longer means that the API server is out of reach."""


class Health:
    """What is true of this process right now."""

    def __init__(self, registry: CollectorRegistry, leading: Callable[[], bool]) -> None:
        self._registry, self._leading = registry, leading
        self.synced: Callable[[], bool] = lambda: False
        self.age_seconds: Callable[[], float] = lambda: 0.0

    async def start(self, port: int) -> web.AppRunner:
        """Serve until the runner is cleaned up; port 0 takes a free one."""
        app = web.Application()
        app.add_routes(
            [web.get("/healthz", self._healthz), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics)]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, None, port).start()
        return runner

    async def _healthz(self, _: web.Request) -> web.Response:
        """Alive: the loop answers. A leader that lost its Lease has ended by itself."""
        return web.json_response({"alive": True, "role": self._role()})

    async def _readyz(self, _: web.Request) -> web.Response:
        """Ready: a standby always; a leader when its view of the cluster is whole and fresh."""
        if not self._leading():
            return web.json_response({"ready": True, "role": "standby"})
        synced, age = self.synced(), self.age_seconds()
        ready = synced and age < STALE_SECONDS
        body = {"ready": ready, "role": "leader", "synced": synced, "lastContactSeconds": round(age, 1)}
        return web.json_response(body, status=200 if ready else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _role(self) -> str:
        return "leader" if self._leading() else "standby"
