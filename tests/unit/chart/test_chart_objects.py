"""What the chart makes, as a whole."""

from pathlib import Path

import pytest
import yaml

from support.chart import CHART, Helm

REPOSITORY = Path(__file__).parents[3]


def test_both_helms_make_the_same_objects() -> None:
    for values in ({}, {"replicas": 2, "evaluations__prepull__enabled": True, "watchNamespaces": ["team-a"]}):
        assert Helm("helm").render(**values) == Helm("helm4").render(**values)


def test_no_object_of_our_own_kinds_is_rendered(helm: Helm) -> None:
    rendered = helm.render(evaluations__prepull__enabled=True, replicas=2)
    assert not [body for body in rendered.values() if body["apiVersion"].startswith("hantei.dev/")]
    assert not [name for kind, name in rendered if kind == "Secret"]


def test_every_object_but_cluster_wide_ones_lies_in_the_releases_namespace(helm: Helm) -> None:
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    for (kind, name), body in helm.render(evaluations__prepull__enabled=True, replicas=2).items():
        expected = None if kind in cluster_wide else "hantei-system"
        assert body["metadata"].get("namespace") == expected, f"{kind} {name}"


def test_the_charts_crds_are_the_generated_ones() -> None:
    generated = {path.name: path.read_bytes() for path in (REPOSITORY / "crds").glob("*.yaml")}
    assert generated, "crds/ is empty: `make crds` writes it"
    assert {path.name: path.read_bytes() for path in (CHART / "files" / "crds").glob("*.yaml")} == generated


def test_crds_survive_uninstall_and_are_otherwise_as_generated(helm: Helm) -> None:
    rendered = {name: body for (kind, name), body in helm.render().items() if kind == "CustomResourceDefinition"}
    generated = {
        body["metadata"]["name"]: body
        for body in (yaml.safe_load(path.read_text()) for path in (CHART / "files" / "crds").glob("*.yaml"))
    }
    assert set(rendered) == set(generated)
    for name, body in rendered.items():
        assert body["metadata"].pop("annotations")["helm.sh/resource-policy"] == "keep"
        assert body["metadata"].pop("labels")["app.kubernetes.io/managed-by"] == "Helm"
        assert body == generated[name]


def test_crds_can_be_left_to_another_release(helm: Helm) -> None:
    assert not [name for kind, name in helm.render(crds__enabled=False) if kind == "CustomResourceDefinition"]


@pytest.mark.parametrize("path", sorted((CHART / "templates").glob("*.yaml")), ids=lambda path: path.stem)
def test_templates_name_the_releases_namespace_not_a_fixed_one(path: Path) -> None:
    assert "namespace: hantei" not in path.read_text()
