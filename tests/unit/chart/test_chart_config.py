"""The configuration that the chart renders is one that the operator accepts, and means what values.yaml says."""

from typing import Any

import yaml

from hantei_operator.settings import Evaluations, PodDefaults, Settings
from support.chart import Helm


def settings(helm: Helm, **values: Any) -> Settings:
    """What the operator reads."""
    return Settings.model_validate(yaml.safe_load(helm.render(**values)["ConfigMap", "hantei"]["data"]["config.yaml"]))


def test_the_charts_defaults_are_the_operators(helm: Helm) -> None:
    rendered = settings(helm)
    assert rendered.lease_namespace == "hantei-system"
    assert rendered.evaluations.pod_defaults == PodDefaults()
    chosen_by_the_chart = {"image", "node_selector_keys", "pod_defaults"}
    assert rendered.evaluations.model_dump(exclude=chosen_by_the_chart) == Evaluations().model_dump(
        exclude=chosen_by_the_chart
    )


def test_the_operator_listens_where_the_chart_probes(helm: Helm) -> None:
    (container,) = helm.render()["Deployment", "hantei"]["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": settings(helm).http_port}]


def test_the_lease_is_the_one_that_the_role_names(helm: Helm) -> None:
    rules = helm.render()["Role", "hantei-leader"]["rules"]
    assert [rule["resourceNames"] for rule in rules if "resourceNames" in rule] == [[settings(helm).lease_name]]


def test_every_value_reaches_the_operator(helm: Helm) -> None:
    pod_defaults = {
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {"pool": "gpu"},
        "runtimeClassName": "nvidia",
        "imagePullSecrets": ["registry"],
        "serviceAccountName": "evaluations",
        "runAsUser": 1000,
        "runAsGroup": 1001,
        "fsGroup": 1002,
        "supplementalGroups": [1003],
        "sharedMemory": "1Gi",
    }
    rendered = settings(
        helm,
        watchNamespaces=["team-a"],
        logLevel="DEBUG",
        evaluations__image={"repository": "registry.example.com/evaluator", "tag": "1.2", "pullPolicy": "Always"},
        evaluations__imagePrefixes=["registry.example.com/ml/"],
        evaluations__nodeSelectorKeys=["pool"],
        evaluations__maxConcurrent=0,
        evaluations__maxWallSeconds=86400,
        evaluations__podRetentionSeconds=0,
        evaluations__priorityClassName="evaluations",
        evaluations__podDefaults=pod_defaults,
    )
    assert rendered.watch_namespaces == ["team-a"]
    assert rendered.log_level == "DEBUG"
    assert rendered.evaluations.model_dump(by_alias=True) == {
        "image": "registry.example.com/evaluator:1.2",
        "imagePullPolicy": "Always",
        "imagePrefixes": ["registry.example.com/ml/"],
        "nodeSelectorKeys": ["pool"],
        "maxConcurrent": 0,
        "maxWallSeconds": 86400,
        "podRetentionSeconds": 0,
        "priorityClassName": "evaluations",
        "podDefaults": pod_defaults,
    }


def test_the_cluster_may_assign_the_evaluations_user(helm: Helm) -> None:
    rendered = settings(
        helm,
        evaluations__podDefaults__runAsUser=None,
        evaluations__podDefaults__runAsGroup=None,
        evaluations__podDefaults__fsGroup=None,
    ).evaluations.pod_defaults
    assert (rendered.run_as_user, rendered.run_as_group, rendered.fs_group) == (None, None, None)
