"""The installed chart: one of two replicas leads, users get their rights, the evaluator image waits on GPU nodes."""

import json
import time
from pathlib import Path

import pytest

from support.chart import Helm
from support.install import Cluster
from support.kind import SYSTEM, WATCHED, Kind
from support.waiting import POD_SECONDS, eventually

pytestmark = pytest.mark.cluster

PREPULL = "hantei-ring-prepull"


def operator_pods(ring: Kind) -> list[str]:
    """Names of the operator's pods."""
    return [body["metadata"]["name"] for body in ring.list_all("Pod", SYSTEM, "app.kubernetes.io/component=operator")]


def test_one_replica_leads_and_the_other_stands_by_ready(ring: Kind) -> None:
    def roles() -> list[str]:
        answers = [json.loads(ring.through_proxy(pod, SYSTEM, 8080, "/readyz")) for pod in operator_pods(ring)]
        assert all(answer["ready"] for answer in answers)
        return sorted(answer["role"] for answer in answers)

    assert roles() == ["leader", "standby"]


def test_the_operator_runs_without_a_restart_and_is_never_refused(ring: Kind) -> None:
    for body in ring.list_all("Pod", SYSTEM, "app.kubernetes.io/component=operator"):
        assert [status["restartCount"] for status in body["status"]["containerStatuses"]] == [0]
        log = ring.kubectl("logs", "-n", SYSTEM, body["metadata"]["name"])
        assert "forbidden" not in log.lower(), log


def test_metrics_are_behind_the_service(ring: Kind) -> None:
    page = ring.kubectl("get", "--raw", f"/api/v1/namespaces/{SYSTEM}/services/hantei-metrics:metrics/proxy/metrics")
    assert "hantei_" in page


@pytest.mark.parametrize(("role", "verbs"), [("edit", "create delete get list watch"), ("view", "get list watch")])
def test_a_namespaces_users_have_its_runs(ring: Kind, tmp_path: Path, role: str, verbs: str) -> None:
    namespace, user = WATCHED[0], f"ring-{role}"
    ring.kubectl("delete", "rolebinding", user, "-n", namespace, "--ignore-not-found")
    ring.kubectl("create", "rolebinding", user, f"--clusterrole={role}", f"--user={user}", "-n", namespace)
    cluster = Cluster.of_environment("helm", tmp_path)

    def allowed() -> str:
        every = ("create", "delete", "get", "list", "watch")
        return " ".join(verb for verb in every if cluster.may(user, verb, "evaluationruns.hantei.dev", namespace))

    eventually(lambda: allowed() == verbs, describe=allowed)
    assert not cluster.may(user, "patch", "evaluationruns.hantei.dev", namespace, "status")


def test_prepull_holds_the_image_where_restricted_is_enforced_and_ends_at_once(ring: Kind) -> None:
    rendered = Helm("helm").render(
        evaluations__prepull__enabled=True,
        evaluations__image={"repository": "hantei/evaluator", "tag": "dev", "pullPolicy": "Never"},
    )
    body = rendered["DaemonSet", "hantei-prepull"]
    body["metadata"]["namespace"] = ring.fresh_namespace(PREPULL)
    try:
        ring.kubectl("apply", "-f", "-", stdin=json.dumps(body))
        ring.kubectl("rollout", "status", "daemonset/hantei-prepull", "-n", PREPULL, f"--timeout={POD_SECONDS:g}s")
        (pod,) = ring.list_all("Pod", PREPULL)
        assert pod["status"]["phase"] == "Running"
        begin = time.monotonic()
        ring.kubectl("delete", "daemonset", "hantei-prepull", "-n", PREPULL, "--cascade=foreground", "--wait")
        assert time.monotonic() - begin < body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    finally:
        ring.delete("Namespace", PREPULL)
