"""Every pod of the chart passes Pod Security `restricted` and keeps its root file system read-only."""

from typing import Any

import pytest

from support.chart import Helm

POD_KINDS = {"Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob", "Pod"}


def pod_templates(helm: Helm, **values: Any) -> dict[str, dict[str, Any]]:
    return {name: body["spec"]["template"] for (kind, name), body in helm.render(**values).items() if kind in POD_KINDS}


@pytest.fixture
def templates(helm: Helm) -> dict[str, dict[str, Any]]:
    return pod_templates(helm, evaluations__prepull__enabled=True)


def test_the_chart_has_these_pods_only(templates: dict[str, dict[str, Any]]) -> None:
    assert set(templates) == {"hantei", "hantei-prepull"}


def test_every_pod_is_restricted(templates: dict[str, dict[str, Any]]) -> None:
    for template in templates.values():
        pod = template["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        for container in pod["containers"] + pod.get("initContainers", []):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert not any("hostPort" in port for port in container.get("ports", []))
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]
        allowed = {"configMap", "emptyDir", "projected", "downwardAPI"}
        assert all(set(volume) - {"name"} <= allowed for volume in pod.get("volumes", []))


def test_the_cluster_may_assign_the_user(helm: Helm) -> None:
    template = pod_templates(helm, runAsUser=None, runAsGroup=None)["hantei"]
    assert template["spec"]["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_the_operator_writes_only_to_tmp(templates: dict[str, dict[str, Any]]) -> None:
    pod = templates["hantei"]["spec"]
    mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts == {"/tmp": False, "/etc/hantei-operator": True}
    assert next(volume for volume in pod["volumes"] if volume["name"] == "tmp")["emptyDir"]["sizeLimit"]


def test_a_change_of_the_configuration_restarts_the_operator(helm: Helm) -> None:
    checksums = {
        pod_templates(helm, evaluations__maxConcurrent=count)["hantei"]["metadata"]["annotations"]["checksum/config"]
        for count in (1, 2)
    }
    assert len(checksums) == 2


def test_a_digest_wins_over_the_tag(helm: Helm) -> None:
    digest = f"sha256:{'0' * 64}"
    image = {"repository": "registry.example.com:5000/hantei", "tag": "1", "digest": digest}
    pod = pod_templates(helm, image=image)["hantei"]["spec"]
    assert pod["containers"][0]["image"] == f"registry.example.com:5000/hantei@{digest}"


def test_only_several_replicas_get_a_disruption_budget(helm: Helm) -> None:
    assert ("PodDisruptionBudget", "hantei") not in helm.render(replicas=1)
    budget = helm.render(replicas=2)["PodDisruptionBudget", "hantei"]
    assert budget["spec"]["maxUnavailable"] == 1


def test_prepull_reaches_gpu_nodes_and_holds_no_gpu(templates: dict[str, dict[str, Any]]) -> None:
    pod = templates["hantei-prepull"]["spec"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    (container,) = pod["containers"]
    for amounts in container["resources"].values():
        assert set(amounts) == {"cpu", "memory", "ephemeral-storage"}
    assert pod["automountServiceAccountToken"] is False


def test_selectors_find_only_their_own_pods(helm: Helm) -> None:
    rendered = helm.render(evaluations__prepull__enabled=True, replicas=2)
    labels = {
        name: body["metadata"]["labels"]
        for name, body in pod_templates(helm, evaluations__prepull__enabled=True).items()
    }

    def found(selector: dict[str, str]) -> set[str]:
        return {name for name, have in labels.items() if selector.items() <= have.items()}

    assert found(rendered["Deployment", "hantei"]["spec"]["selector"]["matchLabels"]) == {"hantei"}
    assert found(rendered["DaemonSet", "hantei-prepull"]["spec"]["selector"]["matchLabels"]) == {"hantei-prepull"}
    assert found(rendered["PodDisruptionBudget", "hantei"]["spec"]["selector"]["matchLabels"]) == {"hantei"}
    assert found(rendered["Service", "hantei-metrics"]["spec"]["selector"]) == {"hantei"}
