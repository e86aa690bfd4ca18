"""One leader at a time on a real API server, also when the old one is stopped and comes back."""

import asyncio
import signal
import subprocess
import sys

import pytest
from kubernetes import client

from hantei_operator.cluster.client import Client
from hantei_operator.cluster.errors import NotLeading
from hantei_operator.cluster.lease import EXIT_CODE, Lease
from support.controlplane import ControlPlane
from support.waiting import eventually

DURATIONS = {"lease_duration_seconds": 3.0, "renew_deadline_seconds": 1.5, "retry_seconds": 0.2}

HOLDER = f"""
import asyncio, itertools, sys
from kubernetes import config
from prometheus_client import CollectorRegistry
from hantei_operator.cluster.client import Client
from hantei_operator.cluster.gateway import Gateway
from hantei_operator.cluster.lease import Lease

async def write(client, namespace):
    lease = Lease(client, namespace, "operator", "old", **{DURATIONS!r})
    lease.start()
    await lease.wait_until_leading()
    gateway = Gateway(client, lease, CollectorRegistry())
    about = {{"kind": "Namespace", "name": namespace, "namespace": namespace, "uid": "written"}}
    for number in itertools.count():
        await gateway.create_event(namespace, {{"metadata": {{"name": f"e{{number}}"}}, "involvedObject": about}})
        await asyncio.sleep(0.02)

asyncio.run(write(Client(config.new_client_from_config(sys.argv[1])), sys.argv[2]))
"""


def written(api: client.ApiClient, namespace: str) -> int:
    return len(client.CoreV1Api(api).list_namespaced_event(namespace).items)


def test_a_released_lease_is_handed_over_at_once(api: client.ApiClient, namespace: str) -> None:
    async def scenario() -> None:
        one, two = (Lease(Client(api), namespace, "operator", name, **DURATIONS) for name in ("one", "two"))
        one.start()
        await asyncio.wait_for(one.wait_until_leading(), 10)
        two.start()
        with pytest.raises(NotLeading):
            two.assert_held()
        await asyncio.to_thread(one.release)
        # Well before the 3 s that a holder which fell silent is waited for.
        await asyncio.wait_for(two.wait_until_leading(), 2)
        two.assert_held()
        with pytest.raises(NotLeading):
            one.assert_held()
        await asyncio.to_thread(two.release)

    asyncio.run(scenario())


def test_a_leader_that_was_stopped_writes_nothing_when_it_goes_on_and_ends(
    control_plane: ControlPlane, api: client.ApiClient, namespace: str
) -> None:
    old = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(control_plane.kubeconfig), namespace], stderr=subprocess.PIPE, text=True
    )
    try:
        eventually(lambda: written(api, namespace) > 5, describe=control_plane.logs)

        async def take_over() -> Lease:
            new = Lease(Client(api), namespace, "operator", "new", **DURATIONS)
            new.start()
            await asyncio.wait_for(new.wait_until_leading(), 20)
            return new

        old.send_signal(signal.SIGSTOP)
        new = asyncio.run(take_over())
        before = written(api, namespace)
        old.send_signal(signal.SIGCONT)
        _, log = old.communicate(timeout=20)
        assert old.returncode == EXIT_CODE, log
        assert written(api, namespace) == before
        new.assert_held()
        new.release()
    finally:
        old.kill()
        old.communicate()
