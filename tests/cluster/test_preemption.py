"""A pod of higher priority takes the GPUs: kube-scheduler ends the evaluations at once, and no retry is spent."""

import pytest

from support.evaluations import RESULT, SMALL, python_run
from support.kind import (
    FAILURES,
    PAUSE,
    RESTRICTED_CONTAINER,
    RESTRICTED_POD,
    Body,
    Kind,
    condition,
    seconds_between,
)
from support.waiting import POD_SECONDS, TIME_SCALE, eventually

pytestmark = pytest.mark.cluster

PRIORITY = "hantei-ring-training"
NO_RETRIES = {"infrastructure": 0, "evaluation": 0}
# Looking for the GPU imports torch, which takes a minute on a tenth of a core: both must be running at the same time.
ON_A_GPU = {**SMALL, "cpu": "500m", "memory": "512Mi", "gpus": 1, "allowCpu": True}
SLOW = f"import time; time.sleep(45); {RESULT}"
WAY_OUT = "Create a new run when the GPUs are free, or set spec.onPreemption: Requeue."


def training_pod(gpus: int) -> Body:
    """A stand-in for training: it needs GPUs, and does nothing."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "training"},
        "spec": {
            "priorityClassName": PRIORITY,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": RESTRICTED_POD,
            "containers": [
                {
                    "name": "training",
                    "image": PAUSE,
                    "securityContext": RESTRICTED_CONTAINER,
                    "resources": {"limits": {"nvidia.com/gpu": str(gpus)}},
                }
            ],
        },
    }


def test_preempted_evaluation_is_dropped_or_runs_again_without_spending_a_retry(ring: Kind) -> None:
    ring.delete("PriorityClass", PRIORITY)
    priority = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": PRIORITY},
        "value": 1000,
    }
    ring.create(priority)
    drop = python_run("preempted-drop", SLOW, resources=ON_A_GPU, retries=NO_RETRIES, onPreemption="Drop")
    requeue = python_run("preempted-requeue", SLOW, resources=ON_A_GPU, retries=NO_RETRIES, onPreemption="Requeue")
    for body in (drop, requeue):
        ring.create(body, FAILURES)
    for body in (drop, requeue):
        ring.reach(body["metadata"]["name"], FAILURES, "Running")

    ring.create(training_pod(4), FAILURES)

    try:
        eventually(lambda: _running(ring), POD_SECONDS, describe=lambda: ring.report(FAILURES))
        dropped = ring.finished("preempted-drop", FAILURES, POD_SECONDS)
        assert (dropped["status"]["phase"], dropped["status"]["reason"]) == ("Failed", "Preempted")
        assert "PreemptionByScheduler" in dropped["status"]["message"]
        assert WAY_OUT in dropped["status"]["message"]
        waiting = ring.get("EvaluationRun", "preempted-requeue", FAILURES)
        assert condition(waiting, "Finished") is None
    finally:
        ring.delete("Pod", "training", FAILURES)
        ring.delete("PriorityClass", PRIORITY)
    done = ring.finished("preempted-requeue", FAILURES, POD_SECONDS)["status"]
    assert [attempt["reason"] for attempt in done["attempts"]] == ["Preempted", "Completed"]
    assert done["gpuSeconds"]["wasted"] > 0
    took = seconds_between(dropped["metadata"]["creationTimestamp"], dropped["status"]["finishedAt"])
    assert took <= (POD_SECONDS + 60) * TIME_SCALE


def _running(ring: Kind) -> bool:
    return bool(ring.get("Pod", "training", FAILURES)["status"].get("phase") == "Running")
