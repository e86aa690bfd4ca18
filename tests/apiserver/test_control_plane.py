"""The control plane of the tests runs pods: scheduled by the real scheduler, with kwok as the stand-in for a kubelet."""

from collections.abc import Iterator

import pytest
from kubernetes import client

from support.controlplane import ControlPlane
from support.waiting import eventually


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    plane = ControlPlane(tmp_path_factory.mktemp("whole-control-plane"))
    try:
        plane.start()
        plane.start_controllers()
        plane.start_scheduler()
        plane.start_kwok()
        yield plane
    finally:
        plane.stop()


def test_a_job_runs_to_its_end_on_a_stand_in_node(running: ControlPlane) -> None:
    api = running.api_client()
    core, batch = client.CoreV1Api(api), client.BatchV1Api(api)
    capacity = {"cpu": "4", "memory": "8Gi", "pods": "10"}
    core.create_node(
        {
            "metadata": {"name": "stand-in", "annotations": {"kwok.x-k8s.io/node": "fake"}},
            "status": {"capacity": capacity, "allocatable": capacity},
        }
    )
    eventually(lambda: core.list_namespaced_service_account("default").items, describe=running.logs)
    container = {"name": "main", "image": "none.example/none"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    batch.create_namespaced_job(
        "default", {"metadata": {"name": "job"}, "spec": {"template": template, "backoffLimit": 0}}
    )
    eventually(lambda: batch.read_namespaced_job("job", "default").status.succeeded == 1, describe=running.logs)
