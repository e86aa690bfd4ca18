"""The chart's life on a real API server: install, upgrade, roll back, uninstall, with Helm 3 and Helm 4."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from support.chart import CHART, Helm
from support.controlplane import ControlPlane, binary
from support.waiting import eventually

RUN = {
    "apiVersion": "hantei.dev/v1alpha1",
    "kind": "EvaluationRun",
    "metadata": {"name": "kept", "namespace": "team"},
    "spec": {
        "checkpoint": {"pvc": {"claimName": "checkpoints", "path": "a.pt"}},
        "suite": {"command": {"argv": ["true"]}},
    },
}


class Cluster:
    """An API server of the test's own, and one Helm."""

    def __init__(self, plane: ControlPlane, helm: str) -> None:
        self._plane = plane
        self._helm = helm
        home = plane.directory / "helm"
        self._environment = os.environ | {
            "KUBECONFIG": str(plane.kubeconfig),
            "HELM_CACHE_HOME": str(home),
            "HELM_CONFIG_HOME": str(home),
            "HELM_DATA_HOME": str(home),
        }

    def helm(self, *arguments: str, succeeds: bool = True) -> str:
        """Output of Helm, which must succeed unless the test says otherwise."""
        command = [binary(self._helm), "--namespace", "hantei-system", *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment)
        assert (result.returncode == 0) is succeeds, result.stdout + result.stderr
        return result.stdout + result.stderr

    def create(self, body: dict[str, Any]) -> None:
        """Create or update an object."""
        result = self._plane.kubectl("apply", "-f", "-", stdin=json.dumps(body))
        assert result.returncode == 0, result.stderr

    def namespace(self, name: str, **labels: str) -> None:
        """A namespace with the account that the controllers would make."""
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        self.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}})

    def kubectl(self, *arguments: str) -> str:
        """Output of kubectl, which must succeed."""
        result = self._plane.kubectl(*arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def operator_may(self, verb: str, resource: str, namespace: str, subresource: str = "") -> bool:
        """Whether the API server lets the operator's account do it; the resource may be TYPE/NAME."""
        account = "system:serviceaccount:hantei-system:hantei"
        answer = self._plane.kubectl(
            "auth",
            "can-i",
            verb,
            resource,
            f"--subresource={subresource}",
            f"--namespace={namespace}",
            f"--as={account}",
        )
        assert answer.stdout.strip() in {"yes", "no"}, answer.stderr
        return answer.stdout.strip() == "yes"

    def max_concurrent(self) -> str:
        """The setting that the tests change, as the operator would read it."""
        configuration = self.kubectl("-n", "hantei-system", "get", "configmap", "hantei", "-o", "yaml")
        return next(line.strip() for line in configuration.splitlines() if "maxConcurrent" in line)


@pytest.fixture(params=["helm", "helm4"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    plane = ControlPlane(tmp_path_factory.mktemp(request.param))
    try:
        plane.start()
        cluster = Cluster(plane, request.param)
        cluster.namespace("hantei-system")
        cluster.namespace("team")
        yield cluster
    finally:
        plane.stop()


def test_runs_survive_upgrade_rollback_uninstall_and_a_new_installation(cluster: Cluster) -> None:
    notes = cluster.helm("install", "hantei", str(CHART))
    assert "kubectl wait --for=condition=Finished" in notes
    cluster.kubectl("wait", "--for=condition=Established", "crd/evaluationruns.hantei.dev", "--timeout=20s")
    cluster.create(RUN)
    uid = cluster.kubectl("-n", "team", "get", "evaluationrun", "kept", "-o", "jsonpath={.metadata.uid}")

    cluster.helm("upgrade", "hantei", str(CHART), "--set", "evaluations.maxConcurrent=3")
    assert cluster.max_concurrent() == "maxConcurrent: 3"
    cluster.helm("rollback", "hantei", "1")
    assert cluster.max_concurrent() == "maxConcurrent: 1"
    assert "kept due to the resource policy" in cluster.helm("uninstall", "hantei")
    assert cluster.kubectl("-n", "hantei-system", "get", "deployments,configmaps,roles", "-o", "name") == ""
    cluster.helm("install", "hantei", str(CHART))

    kept = cluster.kubectl("-n", "team", "get", "evaluationrun", "kept", "-o", "jsonpath={.metadata.uid}")
    assert kept == uid


def test_another_release_beside_it_leaves_the_definitions_alone(cluster: Cluster) -> None:
    cluster.helm("install", "hantei", str(CHART), "--set", "watchNamespaces={team}")
    refusal = cluster.helm("install", "second", str(CHART), succeeds=False)
    assert "evaluationruns.hantei.dev" in refusal
    cluster.helm("uninstall", "second", "--ignore-not-found")

    cluster.namespace("other")
    cluster.helm("install", "second", str(CHART), "--set", "watchNamespaces={other},crds.enabled=false")
    cluster.helm("uninstall", "second")
    cluster.kubectl("get", "crd", "evaluationruns.hantei.dev")
    cluster.kubectl("-n", "hantei-system", "get", "deployment", "hantei")


@pytest.mark.parametrize("cluster", ["helm"], indirect=True)
def test_the_api_server_admits_every_pod_where_restricted_is_enforced(cluster: Cluster) -> None:
    cluster.namespace("restricted", **{"pod-security.kubernetes.io/enforce": "restricted"})
    rendered = Helm("helm").render(evaluations__prepull__enabled=True)
    for name in ("hantei", "hantei-prepull"):
        kind = "Deployment" if name == "hantei" else "DaemonSet"
        template = rendered[kind, name]["spec"]["template"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "restricted"},
            "spec": template["spec"] | {"serviceAccountName": "default"},
        }
        cluster.create(pod)


@pytest.mark.parametrize("cluster", ["helm4"], indirect=True)
def test_the_operators_account_has_its_rights_and_no_others(cluster: Cluster) -> None:
    cluster.helm("install", "hantei", str(CHART), "--set", "watchNamespaces={team}")
    eventually(lambda: cluster.operator_may("patch", "evaluationruns.hantei.dev", "team", "status"))
    eventually(lambda: cluster.operator_may("create", "jobs.batch", "team"))
    eventually(lambda: cluster.operator_may("update", "leases.coordination.k8s.io/hantei", "hantei-system"))
    assert not cluster.operator_may("list", "evaluationruns.hantei.dev", "hantei-system")
    assert not cluster.operator_may("create", "jobs.batch", "hantei-system")
    assert not cluster.operator_may("update", "leases.coordination.k8s.io/another", "hantei-system")
    refused = [("secrets", ""), ("configmaps", ""), ("pods", "log"), ("pods", "exec"), ("serviceaccounts", "token")]
    for resource, subresource in refused:
        for verb in ("get", "create"):
            for namespace in ("team", "hantei-system"):
                assert not cluster.operator_may(verb, resource, namespace, subresource), f"{verb} {resource}"
