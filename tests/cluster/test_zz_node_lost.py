"""A node whose kubelet is stopped. It disturbs everything else on the node, so it comes last."""

from collections.abc import Iterator

import pytest

from hantei_api.reasons import FACTS, Reason
from support.evaluations import RESULT, SMALL, python_run
from support.kind import LOST, WORKER, Kind, is_terminal, seconds_between
from support.waiting import POD_SECONDS, TIME_SCALE, eventually

pytestmark = pytest.mark.cluster

UNREACHABLE_SECONDS = 40.0
"""Until the control plane calls a silent node unreachable (node-monitor-grace-period, 50 s at most)."""
TOLERATION_SECONDS = 30.0
FOR_EVER = "import time; time.sleep(600)"


@pytest.fixture
def silent_node(ring: Kind) -> Iterator[list[str]]:
    """The worker's kubelet, to be stopped by the test and started again whatever happens."""
    gpus = ring.get("Node", WORKER)["status"]["capacity"]["nvidia.com/gpu"]
    yield ["systemctl", "stop", "kubelet"]
    ring.on_worker("systemctl", "start", "kubelet")
    ring.kubectl("wait", "--for=condition=Ready", f"node/{WORKER}", f"--timeout={POD_SECONDS:.0f}s")
    capacity = {"status": {"capacity": {"nvidia.com/gpu": gpus}}}
    ring.patch("Node", WORKER, None, capacity, subresource="status")
    eventually(lambda: ring.get("Node", WORKER)["status"]["allocatable"].get("nvidia.com/gpu") == gpus, POD_SECONDS)


def test_node_whose_kubelet_is_stopped_is_lost_in_time_and_says_where_to_look(
    ring: Kind, silent_node: list[str]
) -> None:
    clocks = {"wallSeconds": 300}
    ring.create(python_run("lost", FOR_EVER, clocks=clocks, retries={"infrastructure": 0}), LOST)
    running = ring.reach("lost", LOST, "Running")
    ring.on_worker(*silent_node)

    def unreachable() -> str:
        taints = ring.get("Node", WORKER)["spec"].get("taints", [])
        times = [
            each["timeAdded"]
            for each in taints
            if each["key"] == "node.kubernetes.io/unreachable" and each.get("timeAdded")
        ]
        return times[0] if times else ""

    since = eventually(unreachable, UNREACHABLE_SECONDS + 60, describe=lambda: ring.report(LOST))
    status = ring.finished("lost", LOST, TOLERATION_SECONDS + 60)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "NodeLost"), status
    assert WORKER in status["message"]
    assert FACTS[Reason.NODE_LOST].advice in status["message"]
    assert status["failure"]["node"] == WORKER
    assert status["nodeName"] == running["status"]["nodeName"] == WORKER
    took = seconds_between(since, status["finishedAt"])
    assert took <= (TOLERATION_SECONDS + 60) * TIME_SCALE, f"{took:.0f} s after the node was called unreachable"


def test_node_that_comes_back_has_nothing_left_and_evaluates_again(ring: Kind) -> None:
    """Comes after the test above: its pod was never deleted by force, so the node itself ends it."""
    eventually(
        lambda: all(is_terminal(pod) for pod in ring.pods_of("lost", LOST)),
        POD_SECONDS,
        describe=lambda: ring.report(LOST),
    )
    eventually(lambda: not ring.on_worker("pgrep", "-f", "marker-lost$"), POD_SECONDS)
    ring.create(python_run("again", RESULT, resources={**SMALL, "memory": "512Mi", "gpus": 1, "allowCpu": True}), LOST)
    assert ring.finished("again", LOST, POD_SECONDS)["status"]["reason"] == "Completed"
