"""What the gateway writes, and what it makes of the answers of a real API server."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client
from prometheus_client import CollectorRegistry

from hantei_operator.cluster import gateway as gateway_module
from hantei_operator.cluster.client import Body, Client
from hantei_operator.cluster.errors import AlreadyExists, Conflict, NotFound, NotLeading, Unavailable
from hantei_operator.cluster.events import build_event
from hantei_operator.cluster.facts import job_facts, run_facts
from hantei_operator.cluster.gateway import Gateway, status_patch
from hantei_operator.cluster.manifests import build_job
from hantei_operator.cluster.paths import RUNS, path
from hantei_operator.domain.actions import Announce, CreateJob
from hantei_operator.domain.facts import RunFacts
from hantei_operator.settings import Settings
from support.controlplane import ControlPlane

GOLDEN = Path(__file__).parents[1] / "unit" / "operator" / "cluster" / "golden"
POD: Body = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "evaluation"},
    "spec": {"activeDeadlineSeconds": 300, "containers": [{"name": "evaluator", "image": "hantei/evaluator:1"}]},
}


class Leader:
    """Stand-in for the Lease: held until told otherwise."""

    held = True

    def assert_held(self) -> None:
        if not self.held:
            raise NotLeading("not now")


@pytest.fixture
def leader() -> Leader:
    return Leader()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def gateway(api: client.ApiClient, leader: Leader, registry: CollectorRegistry) -> Gateway:
    return Gateway(Client(api), leader, registry)


@pytest.fixture
def run(api: client.ApiClient, namespace: str) -> RunFacts:
    spec = yaml.safe_load((GOLDEN / "volumes.run.yaml").read_text())
    body = {
        "apiVersion": "hantei.dev/v1alpha1",
        "kind": "EvaluationRun",
        "metadata": {"name": "digits-1", "labels": {"team": "a"}},
        "spec": spec,
    }
    return run_facts(Client(api).call("POST", path(RUNS, namespace), body=body, timeout_seconds=5))


def done(call: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(call)


def accepted(api: client.ApiClient, namespace: str) -> Body:
    core = client.CoreV1Api(api)
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "default"}})
    return dict(core.create_namespaced_pod(namespace, POD).to_dict()["metadata"])


def test_a_status_is_written_only_over_the_version_that_was_looked_at(gateway: Gateway, run: RunFacts) -> None:
    first = done(gateway.patch_run_status(run.namespace, run.name, run.resource_version, {"message": "one"}))
    assert first["status"]["message"] == "one"
    with pytest.raises(Conflict) as refused:
        done(gateway.patch_run_status(run.namespace, run.name, run.resource_version, {"message": "two"}))
    assert refused.value.temporary
    assert done(gateway.get_run(run.namespace, run.name))["status"]["message"] == "one"


def test_the_patch_between_two_statuses_leaves_the_second(gateway: Gateway, run: RunFacts) -> None:
    old = {"phase": "Running", "queuePosition": 1, "clocks": {"queued": 1.0, "starting": 2.0}}
    new = {"phase": "Running", "clocks": {"queued": 1.0}, "message": "two"}
    body = done(gateway.patch_run_status(run.namespace, run.name, run.resource_version, old))
    version = body["metadata"]["resourceVersion"]
    body = done(gateway.patch_run_status(run.namespace, run.name, version, status_patch(old, new)))
    assert body["status"] == new


def test_a_status_write_leaves_spec_and_labels(gateway: Gateway, run: RunFacts) -> None:
    body = done(gateway.patch_run_status(run.namespace, run.name, run.resource_version, {"phase": "Queued"}))
    after = run_facts(body)
    assert (after.spec, after.generation, body["metadata"]["labels"]) == (run.spec, run.generation, {"team": "a"})


def test_the_api_server_accepts_the_job_and_creating_it_again_says_so(gateway: Gateway, run: RunFacts) -> None:
    job = build_job(run, CreateJob(1, None, 300), Settings())
    created = job_facts(done(gateway.create_job(run.namespace, job)))
    assert (created.run_uid, created.attempt) == (run.uid, 1)
    with pytest.raises(AlreadyExists):
        done(gateway.create_job(run.namespace, job))
    assert job_facts(done(gateway.get_job(run.namespace, created.name))) == created


@pytest.mark.parametrize("name", ["minimal", "volumes", "uri"])
def test_the_api_server_takes_every_golden_job_as_it_is(gateway: Gateway, namespace: str, name: str) -> None:
    body = yaml.safe_load((GOLDEN / f"{name}.job.yaml").read_text())
    body["metadata"]["namespace"] = namespace
    body["spec"]["template"]["metadata"]["annotations"] = {}
    stored = done(gateway.create_job(namespace, body))
    wanted, got = (each["spec"]["template"]["spec"] for each in (body, stored))
    # Nothing was dropped as unknown; defaults of the API server may have come on top.
    assert {key: got[key] for key in wanted if key not in {"containers", "volumes"}} == {
        key: wanted[key] for key in wanted if key not in {"containers", "volumes"}
    }
    assert got["containers"][0].keys() >= wanted["containers"][0].keys()


def test_a_job_is_deleted_once_and_never_another_of_its_name(gateway: Gateway, run: RunFacts) -> None:
    created = job_facts(done(gateway.create_job(run.namespace, build_job(run, CreateJob(1, None, 300), Settings()))))
    done(gateway.delete_job(run.namespace, created.name, "another-uid"))
    assert not job_facts(done(gateway.get_job(run.namespace, created.name))).deleting
    done(gateway.delete_job(run.namespace, created.name, created.uid))
    with pytest.raises(NotFound):
        done(gateway.get_job(run.namespace, created.name))
    done(gateway.delete_job(run.namespace, created.name, created.uid))


def test_a_run_is_deleted_once_and_never_another_of_its_name(gateway: Gateway, run: RunFacts) -> None:
    done(gateway.delete_run(run.namespace, run.name, "another-uid"))
    assert done(gateway.get_run(run.namespace, run.name))["metadata"]["uid"] == run.uid
    done(gateway.delete_run(run.namespace, run.name, run.uid))
    with pytest.raises(NotFound):
        done(gateway.get_run(run.namespace, run.name))
    done(gateway.delete_run(run.namespace, run.name, run.uid))


def test_a_deadline_is_lowered_and_never_another_pods(gateway: Gateway, api: client.ApiClient, namespace: str) -> None:
    uid = accepted(api, namespace)["uid"]
    core = client.CoreV1Api(api)
    done(gateway.lower_deadline(namespace, "evaluation", "another-uid"))
    assert core.read_namespaced_pod("evaluation", namespace).spec.active_deadline_seconds == 300
    done(gateway.lower_deadline(namespace, "evaluation", uid))
    assert core.read_namespaced_pod("evaluation", namespace).spec.active_deadline_seconds == 1
    done(gateway.delete_pod(namespace, "evaluation", uid))
    done(gateway.delete_pod(namespace, "evaluation", uid))
    done(gateway.lower_deadline(namespace, "evaluation", uid))


def test_the_same_transition_is_announced_once(gateway: Gateway, run: RunFacts) -> None:
    for second in (1, 2):
        now = datetime(2026, 1, 2, 3, 4, second, tzinfo=UTC)
        event = build_event(run, Announce("attempt-1-running", "Running", "attempt 1 runs"), now)
        done(gateway.create_event(run.namespace, event))
    (event,) = done(gateway.list_events(run.namespace, run.uid))
    assert (event["reason"], event["message"], event["type"]) == ("Running", "attempt 1 runs", "Normal")
    assert done(gateway.list_events(run.namespace, "another-uid")) == []


def calls(gateway: Gateway, run: RunFacts) -> dict[str, Coroutine[Any, Any, Any]]:
    """One call of every write."""
    return {
        "patch_run_status": gateway.patch_run_status(run.namespace, run.name, run.resource_version, {}),
        "create_job": gateway.create_job(run.namespace, build_job(run, CreateJob(1, None, 300), Settings())),
        "delete_job": gateway.delete_job(run.namespace, "job", "uid"),
        "delete_pod": gateway.delete_pod(run.namespace, "pod", "uid"),
        "lower_deadline": gateway.lower_deadline(run.namespace, "pod", "uid"),
        "delete_run": gateway.delete_run(run.namespace, run.name, run.uid),
        "create_event": gateway.create_event(run.namespace, {}),
    }


def test_who_does_not_lead_writes_nothing(gateway: Gateway, leader: Leader, run: RunFacts) -> None:
    leader.held = False
    writes = calls(gateway, run)
    assert sorted(writes) == sorted(gateway_module.WRITES)
    for call in writes.values():
        with pytest.raises(NotLeading):
            done(call)
    assert run_facts(done(gateway.get_run(run.namespace, run.name))) == run


def test_writes_are_counted_by_outcome(gateway: Gateway, registry: CollectorRegistry, run: RunFacts) -> None:
    job = build_job(run, CreateJob(1, None, 300), Settings())
    done(gateway.create_job(run.namespace, job))
    with pytest.raises(AlreadyExists):
        done(gateway.create_job(run.namespace, job))
    counted = {
        outcome: registry.get_sample_value("hantei_api_writes_total", {"write": "create_job", "outcome": outcome})
        for outcome in ("ok", "AlreadyExists")
    }
    assert counted == {"ok": 1.0, "AlreadyExists": 1.0}


def test_a_write_that_is_not_answered_is_sent_once_and_given_up_after_2_5_s(leader: Leader, namespace: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        configuration = client.Configuration(host=f"http://127.0.0.1:{port}", retries=False)
        gateway = Gateway(Client(client.ApiClient(configuration)), leader, CollectorRegistry())
        started_at = time.monotonic()
        with pytest.raises(Unavailable) as refused:
            done(gateway.create_job(namespace, {}))
        assert refused.value.temporary
        assert 2.4 < time.monotonic() - started_at < 3.5
        connection, _ = silent.accept()
        with connection:
            assert b"?timeout=2500ms" in connection.recv(4096)
        silent.settimeout(0.2)
        with pytest.raises(TimeoutError):
            silent.accept()


def test_an_api_server_that_is_away_is_unavailable(leader: Leader, namespace: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    configuration = client.Configuration(host=f"http://127.0.0.1:{port}", retries=False)
    gateway = Gateway(Client(client.ApiClient(configuration)), leader, CollectorRegistry())
    with pytest.raises(Unavailable):
        done(gateway.get_job(namespace, "job"))


CRASH = """
import asyncio, sys
from kubernetes import config
from prometheus_client import CollectorRegistry
from hantei_operator.cluster.client import Client
from hantei_operator.cluster.gateway import Gateway

class Leader:
    def assert_held(self): pass

async def write(gateway, namespace):
    for name in ("one", "two", "three"):
        about = {"kind": "Namespace", "name": namespace, "namespace": namespace, "uid": "crash"}
        await gateway.create_event(namespace, {"metadata": {"name": name}, "involvedObject": about})

gateway = Gateway(Client(config.new_client_from_config(sys.argv[1])), Leader(), CollectorRegistry())
asyncio.run(write(gateway, sys.argv[2]))
"""


@pytest.mark.parametrize(("failpoint", "written"), [("before:create_event:2", 1), ("after:create_event:2", 2)])
def test_a_failpoint_ends_the_process_at_the_chosen_write(
    control_plane: ControlPlane, gateway: Gateway, namespace: str, failpoint: str, written: int
) -> None:
    command = [sys.executable, "-c", CRASH, str(control_plane.kubeconfig), namespace]
    program = subprocess.run(
        command, env={"HANTEI_FAILPOINT": failpoint}, capture_output=True, text=True, check=False, timeout=60
    )
    assert program.returncode == 137, program.stderr
    assert len(done(gateway.list_events(namespace, "crash"))) == written
