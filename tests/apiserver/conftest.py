"""One real API server for the ring, with our definitions on it, and a namespace for each test."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes import client

from support.controlplane import ControlPlane
from support.waiting import eventually

CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd and kube-apiserver alone: nothing acts on what is written."""
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"))
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> client.ApiClient:
    """A client of an API server that serves our kinds."""
    api = control_plane.api_client()
    extensions = client.ApiextensionsV1Api(api)
    for path in sorted(CRDS.glob("*.yaml")):
        body = yaml.safe_load(path.read_text())
        extensions.create_custom_resource_definition(body)
        name = body["metadata"]["name"]
        eventually(lambda name=name: _established(extensions, name), describe=control_plane.logs)
    return api


@pytest.fixture(scope="session")
def controllers(control_plane: ControlPlane, api: client.ApiClient) -> ControlPlane:
    """The same API server with the controllers of Jobs, quotas, namespaces and garbage."""
    control_plane.start_controllers()
    return control_plane


@pytest.fixture
def namespace(api: client.ApiClient) -> str:
    """A namespace that no other test uses; it goes with the API server."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    client.CoreV1Api(api).create_namespace({"metadata": {"name": name}})
    return name


def _established(extensions: client.ApiextensionsV1Api, name: str) -> bool:
    status = extensions.read_custom_resource_definition(name).status
    assert not [c.message for c in status.conditions or () if c.type == "NonStructuralSchema" and c.status == "True"]
    return any(c.type == "Established" and c.status == "True" for c in status.conditions or ())
