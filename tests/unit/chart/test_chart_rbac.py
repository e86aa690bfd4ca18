"""The operator may do exactly what the table says, and nothing in other places."""

from typing import Any

import pytest
import yaml

from support.chart import Helm, Rendered

RUNS_AND_WHAT_THEY_ARE_MADE_OF = {
    "hantei.dev/evaluationruns": "delete get list watch",
    "hantei.dev/evaluationruns/status": "patch",
    "hantei.dev/evaluationruns/finalizers": "update",
    "batch/jobs": "create delete get list watch",
    "/pods": "delete list patch watch",
    "/persistentvolumeclaims": "get",
    "/events": "create list",
}
LEADERSHIP = {"coordination.k8s.io/leases": "create", "coordination.k8s.io/leases/hantei": "get update"}
VIEW = {"hantei.dev/evaluationruns": "get list watch", "hantei.dev/evaluationruns/status": "get list watch"}
EDIT = {"hantei.dev/evaluationruns": "create delete deletecollection patch update"}


def rights(role: dict[str, Any]) -> dict[str, str]:
    """``group/resource``, and the object's name where there is one, to its verbs; anything else in a rule fails."""
    table: dict[str, set[str]] = {}
    for rule in role["rules"]:
        assert {"apiGroups", "resources", "verbs"} <= set(rule) <= {"apiGroups", "resources", "verbs", "resourceNames"}
        names = [f"/{name}" for name in rule.get("resourceNames", ())] or [""]
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for name in names:
                    table.setdefault(f"{group}/{resource}{name}", set()).update(rule["verbs"])
    return {resource: " ".join(sorted(verbs)) for resource, verbs in table.items()}


def roles(rendered: Rendered) -> dict[tuple[str, str, str], dict[str, str]]:
    """Rights by kind, namespace and name of the role."""
    return {
        (kind, body["metadata"].get("namespace", ""), name): rights(body)
        for (kind, name), body in rendered.items()
        if kind in {"Role", "ClusterRole"}
    }


def test_cluster_wide_rights_are_the_table(helm: Helm) -> None:
    assert roles(helm.render()) == {
        ("ClusterRole", "", "hantei-system-hantei"): RUNS_AND_WHAT_THEY_ARE_MADE_OF,
        ("Role", "hantei-system", "hantei-leader"): LEADERSHIP,
        ("ClusterRole", "", "hantei-system-hantei-view"): VIEW,
        ("ClusterRole", "", "hantei-system-hantei-edit"): EDIT,
    }


def test_with_watch_namespaces_the_operator_has_rights_only_there(helm: Helm) -> None:
    rendered = helm.render(watchNamespaces=["team-a"], rbac__aggregateToUserRoles=False)
    assert roles(rendered) == {
        ("Role", "team-a", "hantei-system-hantei"): RUNS_AND_WHAT_THEY_ARE_MADE_OF,
        ("Role", "hantei-system", "hantei-leader"): LEADERSHIP,
    }
    assert not [name for kind, name in rendered if kind == "ClusterRoleBinding"]


def test_every_watched_namespace_gets_its_role(helm: Helm) -> None:
    output = helm.template(watchNamespaces=["team-a", "team-b"]).stdout
    for kind in ("Role", "RoleBinding"):
        made = [body["metadata"]["namespace"] for body in yaml.safe_load_all(output) if body and body["kind"] == kind]
        assert sorted(made) == ["hantei-system", "team-a", "team-b"]


def test_every_binding_names_the_operators_account_and_a_role_of_the_chart(helm: Helm) -> None:
    for values in ({}, {"watchNamespaces": ["team-a"]}):
        rendered = helm.render(**values)
        bindings = [body for (kind, _), body in rendered.items() if kind in {"RoleBinding", "ClusterRoleBinding"}]
        assert len(bindings) == 2
        for binding in bindings:
            assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in rendered
            assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "hantei", "namespace": "hantei-system"}]


@pytest.mark.parametrize("role", ["view", "edit", "admin"])
def test_users_roles_aggregate(helm: Helm, role: str) -> None:
    rendered = helm.render()
    label = f"rbac.authorization.k8s.io/aggregate-to-{role}"
    aggregated = {name for (kind, name), body in rendered.items() if body["metadata"]["labels"].get(label) == "true"}
    expected = {"hantei-system-hantei-view"} | ({"hantei-system-hantei-edit"} if role != "view" else set())
    assert aggregated == expected


def test_without_rbac_nothing_is_granted(helm: Helm) -> None:
    assert not [kind for kind, _ in helm.render(rbac__create=False) if "Role" in kind]
