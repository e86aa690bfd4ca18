"""The chart's life on a real API server: install, upgrade, roll back, uninstall, with Helm 3 and Helm 4."""

from collections.abc import Iterator

import pytest

from support.chart import CHART, Helm
from support.controlplane import ControlPlane
from support.install import Cluster
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


OPERATOR = "system:serviceaccount:hantei-system:hantei"


def add_namespace(cluster: Cluster, name: str, **labels: str) -> None:
    """A namespace with the account that the controllers would make."""
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}})


def max_concurrent(cluster: Cluster) -> str:
    """The setting that the tests change, as the operator would read it."""
    configuration = cluster.kubectl("-n", "hantei-system", "get", "configmap", "hantei", "-o", "yaml")
    return next(line.strip() for line in configuration.splitlines() if "maxConcurrent" in line)


@pytest.fixture(params=["helm", "helm4"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    plane = ControlPlane(tmp_path_factory.mktemp(request.param))
    try:
        plane.start()
        cluster = Cluster(plane.kubeconfig, request.param, plane.directory / "helm")
        add_namespace(cluster, "hantei-system")
        add_namespace(cluster, "team")
        yield cluster
    finally:
        plane.stop()


def test_runs_survive_upgrade_rollback_uninstall_and_a_new_installation(cluster: Cluster) -> None:
    notes = cluster.helm("install", "hantei", str(CHART))
    assert "kubectl wait --for=condition=Finished" in notes
    cluster.kubectl("wait", "--for=condition=Established", "crd/evaluationruns.hantei.dev", "--timeout=20s")
    cluster.apply(RUN)
    uid = cluster.kubectl("-n", "team", "get", "evaluationrun", "kept", "-o", "jsonpath={.metadata.uid}")

    cluster.helm("upgrade", "hantei", str(CHART), "--set", "evaluations.maxConcurrent=3")
    assert max_concurrent(cluster) == "maxConcurrent: 3"
    cluster.helm("rollback", "hantei", "1")
    assert max_concurrent(cluster) == "maxConcurrent: 1"
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

    add_namespace(cluster, "other")
    cluster.helm("install", "second", str(CHART), "--set", "watchNamespaces={other},crds.enabled=false")
    cluster.helm("uninstall", "second")
    cluster.kubectl("get", "crd", "evaluationruns.hantei.dev")
    cluster.kubectl("-n", "hantei-system", "get", "deployment", "hantei")


@pytest.mark.parametrize("cluster", ["helm"], indirect=True)
def test_the_api_server_admits_every_pod_where_restricted_is_enforced(cluster: Cluster) -> None:
    add_namespace(cluster, "restricted", **{"pod-security.kubernetes.io/enforce": "restricted"})
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
        cluster.apply(pod)


@pytest.mark.parametrize("cluster", ["helm4"], indirect=True)
def test_the_operators_account_has_its_rights_and_no_others(cluster: Cluster) -> None:
    cluster.helm("install", "hantei", str(CHART), "--set", "watchNamespaces={team}")
    eventually(lambda: cluster.may(OPERATOR, "patch", "evaluationruns.hantei.dev", "team", "status"))
    eventually(lambda: cluster.may(OPERATOR, "create", "jobs.batch", "team"))
    eventually(lambda: cluster.may(OPERATOR, "update", "leases.coordination.k8s.io/hantei", "hantei-system"))
    assert not cluster.may(OPERATOR, "list", "evaluationruns.hantei.dev", "hantei-system")
    assert not cluster.may(OPERATOR, "create", "jobs.batch", "hantei-system")
    assert not cluster.may(OPERATOR, "update", "leases.coordination.k8s.io/another", "hantei-system")
    refused = [("secrets", ""), ("configmaps", ""), ("pods", "log"), ("pods", "exec"), ("serviceaccounts", "token")]
    for resource, subresource in refused:
        for verb in ("get", "create"):
            for namespace in ("team", "hantei-system"):
                assert not cluster.may(OPERATOR, verb, resource, namespace, subresource), f"{verb} {resource}"
