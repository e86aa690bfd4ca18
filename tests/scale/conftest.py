"""A whole control plane with stand-in nodes and GPUs: kwok plays the kubelets, everything else is real."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes import client

from support.controlplane import ControlPlane
from support.history import History
from support.scale import stages
from support.waiting import eventually

CRDS = Path(__file__).parents[2] / "crds"
NODES, GPUS_PER_NODE = 4, 8
"""More GPUs than maxConcurrent lets be used: the operator's limit is the one that binds."""
WATCHED = ("evaluationruns", "jobs", "pods", "events")


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """API server, controllers, scheduler and kwok, with our definitions and stand-in nodes that offer GPUs."""
    directory = tmp_path_factory.mktemp("scale")
    behaviour = directory / "stages.yaml"
    behaviour.write_text(yaml.safe_dump_all(stages()))
    plane = ControlPlane(directory)
    try:
        plane.start()
        plane.start_controllers()
        plane.start_scheduler()
        definitions = plane.kubectl("create", "--filename", str(CRDS))
        assert definitions.returncode == 0, definitions.stderr
        plane.start_kwok(behaviour)
        core = client.CoreV1Api(plane.api_client())
        capacity = {"cpu": "64", "memory": "512Gi", "ephemeral-storage": "1Ti", "pods": "200"}
        capacity["nvidia.com/gpu"] = str(GPUS_PER_NODE)
        for number in range(NODES):
            metadata = {"name": f"stand-in-{number}", "annotations": {"kwok.x-k8s.io/node": "fake"}}
            core.create_node({"metadata": metadata, "status": {"capacity": capacity, "allocatable": capacity}})
        eventually(lambda: plane.kubectl("get", "evaluationruns").returncode == 0, describe=plane.logs)
        yield plane
    finally:
        plane.stop()


@pytest.fixture(scope="session")
def histories(plane: ControlPlane) -> Iterator[dict[str, History]]:
    """What happened to each kind, from before the first run."""
    watches = {resource: History(plane, resource, plane.directory) for resource in WATCHED}
    yield watches
    for watch in watches.values():
        watch.stop()
