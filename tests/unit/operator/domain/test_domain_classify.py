"""Why an attempt ended: every ending in its closed reason, in the words of whoever ended it."""

import json
from typing import Any

import pytest

from hantei_api.reasons import Reason
from hantei_api.status import RunStatus
from hantei_operator.domain.classify import ended, never_started, unschedulable
from hantei_operator.domain.facts import AttemptMemory, ContainerFacts, EventFacts, PodFacts
from support.decisions import (
    a_placed_pod,
    a_running_pod,
    a_summary,
    an_ended_pod,
    at,
    decide,
    observe,
    running,
    written,
)

STORAGE = "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."
PARTIAL = {"complete": False, "message": "100 of 360 samples"}


def forged(reason: str = "Completed", **changes: Any) -> str:
    """A summary that the evaluator's own code would not write."""
    return json.dumps(
        {"hantei": "v1alpha1", "reason": reason, "metrics": [["accuracy", 0.9, 0.1, 10]], "complete": True} | changes
    )


ENDINGS = {
    "a good evaluation": (an_ended_pod(0, a_summary()), Reason.COMPLETED, ""),
    "a gate that failed is a good evaluation": (an_ended_pod(0, a_summary(Reason.GATE_FAILED)), Reason.GATE_FAILED, ""),
    "an evaluator's own reason": (
        an_ended_pod(65, a_summary(Reason.CHECKPOINT_INVALID, message="not a checkpoint")),
        Reason.CHECKPOINT_INVALID,
        "not a checkpoint",
    ),
    "the soft deadline": (
        an_ended_pod(75, a_summary(Reason.DEADLINE_EXCEEDED, **PARTIAL)),
        Reason.DEADLINE_EXCEEDED,
        "100 of 360",
    ),
    "SIGTERM and nobody known to have sent it": (an_ended_pod(75, a_summary(Reason.POD_LOST)), Reason.POD_LOST, ""),
    "deleted by hand while it ran": (
        an_ended_pod(75, a_summary(Reason.POD_LOST), deleting_since=at(12)),
        Reason.POD_LOST,
        "deleted, and not by this operator",
    ),
    "deleted by hand, killed hard": (an_ended_pod(137, "", deleting_since=at(12)), Reason.POD_LOST, "deleted"),
    "gone without a word": (a_running_pod(), Reason.POD_LOST, "deleted, and not by this operator"),
    "no metric": (an_ended_pod(0, a_summary(metrics=[])), Reason.METRICS_UNAVAILABLE, "without a single metric"),
    "a gate without a metric": (
        an_ended_pod(0, a_summary(Reason.GATE_FAILED, metrics=[])),
        Reason.METRICS_UNAVAILABLE,
        "without a single metric",
    ),
    "exit 0 and no result": (an_ended_pod(0, "hello"), Reason.METRICS_UNAVAILABLE, "exited 0 without a result"),
    "success claimed with a failing exit": (an_ended_pod(3, a_summary()), Reason.EVALUATOR_ERROR, "exited with 3"),
    "failure claimed with exit 0": (
        an_ended_pod(0, a_summary(Reason.HUNG)),
        Reason.METRICS_UNAVAILABLE,
        "exited 0 without a result",
    ),
    "a reason that no evaluator may give": (
        an_ended_pod(0, forged("Preempted")),
        Reason.METRICS_UNAVAILABLE,
        "without a result",
    ),
    "an exit code alone": (an_ended_pod(66), Reason.CHECKPOINT_MISSING, "exited with 66"),
    "a signal by its name": (an_ended_pod(139), Reason.EVALUATOR_ERROR, "139 (SIGSEGV)"),
    "a code above all signals": (an_ended_pod(255), Reason.EVALUATOR_ERROR, "exited with 255"),
    "exit 1 of the user's own": (an_ended_pod(1), Reason.EVALUATOR_ERROR, "exited with 1"),
    "a program that can't be run": (
        an_ended_pod(128, "no such file", word="StartError", started=None),
        Reason.EVALUATOR_ERROR,
        "StartError: no such file",
    ),
    "out of memory": (an_ended_pod(137, word="OOMKilled"), Reason.OOM_KILLED, "memory limit"),
    "out of memory in a child, and done all the same": (
        an_ended_pod(0, a_summary(), word="OOMKilled"),
        Reason.COMPLETED,
        "",
    ),
    "preempted by the scheduler": (
        an_ended_pod(75, a_summary(Reason.POD_LOST), disruption_reason="PreemptionByScheduler"),
        Reason.PREEMPTED,
        "PreemptionByScheduler",
    ),
    "drained": (
        an_ended_pod(
            75, a_summary(Reason.POD_LOST), disruption_reason="EvictionByEvictionAPI", disruption_message="drain"
        ),
        Reason.EVICTED,
        "EvictionByEvictionAPI: drain",
    ),
    "done before it was drained": (
        an_ended_pod(0, a_summary(), disruption_reason="EvictionByEvictionAPI"),
        Reason.COMPLETED,
        "",
    ),
    "a taint, and a node that answers": (
        an_ended_pod(75, disruption_reason="DeletionByTaintManager"),
        Reason.EVICTED,
        "DeletionByTaintManager",
    ),
    "a taint, and a node that does not": (
        a_running_pod(disruption_reason="DeletionByTaintManager"),
        Reason.NODE_LOST,
        "DeletionByTaintManager",
    ),
    "collected with its node": (
        a_running_pod(disruption_reason="DeletionByPodGC"),
        Reason.NODE_LOST,
        "DeletionByPodGC",
    ),
    "a disruption of tomorrow": (a_running_pod(disruption_reason="SomethingNew"), Reason.EVICTED, "SomethingNew"),
    "node pressure by too much scratch": (
        an_ended_pod(137, disruption_reason="TerminationByKubelet", reason="Evicted", message=STORAGE),
        Reason.STORAGE_FULL,
        STORAGE,
    ),
    "too much scratch, from an older kubelet": (
        an_ended_pod(137, reason="Evicted", message=STORAGE),
        Reason.STORAGE_FULL,
        STORAGE,
    ),
    "evicted for somebody else's memory": (
        an_ended_pod(137, reason="Evicted", message="The node was low on resource: memory."),
        Reason.EVICTED,
        "Evicted: The node was low",
    ),
    "a node that shut down": (an_ended_pod(75, reason="NodeShutdown"), Reason.EVICTED, "NodeShutdown"),
    "a node that was lost": (a_running_pod(reason="NodeLost", message="no kubelet"), Reason.NODE_LOST, "no kubelet"),
    "a kubelet that refuses": (
        a_placed_pod(phase="Failed", reason="UnexpectedAdmissionError", message="no device"),
        Reason.POD_REJECTED,
        "the kubelet on node refused the pod: UnexpectedAdmissionError: no device",
    ),
    "the wall, and no word": (
        an_ended_pod(137, reason="DeadlineExceeded"),
        Reason.DEADLINE_EXCEEDED,
        "activeDeadlineSeconds",
    ),
    "the wall, and the evaluator's reason": (
        an_ended_pod(75, a_summary(Reason.HUNG, message="no progress"), reason="DeadlineExceeded"),
        Reason.HUNG,
        "no progress",
    ),
    "the wall, and SIGTERM": (
        an_ended_pod(75, a_summary(Reason.POD_LOST), reason="DeadlineExceeded"),
        Reason.DEADLINE_EXCEEDED,
        "activeDeadlineSeconds",
    ),
    "the wall, and success claimed with a failing exit": (
        an_ended_pod(137, a_summary(), reason="DeadlineExceeded"),
        Reason.DEADLINE_EXCEEDED,
        "activeDeadlineSeconds",
    ),
    "done, and then the wall": (an_ended_pod(0, a_summary(), reason="DeadlineExceeded"), Reason.COMPLETED, ""),
    "the wall before the container started is no deadline": (
        a_placed_pod(phase="Failed", reason="DeadlineExceeded"),
        Reason.START_TIMEOUT,
        "did not start in time",
    ),
}


@pytest.mark.parametrize(("pod", "reason", "words"), ENDINGS.values(), ids=ENDINGS)
def test_an_ending_has_its_reason_and_the_words_of_whoever_ended_it(pod: PodFacts, reason: Reason, words: str) -> None:
    ending = ended(pod, AttemptMemory())

    assert ending.reason is reason
    assert words in ending.message


PULL_DENIED = 'failed to pull "team/x": pull access denied, unauthorized'
NEVER_STARTED = {
    "nothing known": (AttemptMemory(), Reason.START_TIMEOUT, "did not start in time", True),
    "a registry that is slow or away": (
        AttemptMemory(waiting_reason="ErrImagePull", waiting_message="i/o timeout"),
        Reason.IMAGE_PULL_ERROR,
        "ErrImagePull: i/o timeout",
        True,
    ),
    "a registry that says no": (
        AttemptMemory(waiting_reason="ImagePullBackOff", waiting_message=PULL_DENIED),
        Reason.IMAGE_PULL_ERROR,
        PULL_DENIED,
        False,
    ),
    "an image name that is none": (
        AttemptMemory(waiting_reason="InvalidImageName", waiting_message="InvalidImageName"),
        Reason.IMAGE_PULL_ERROR,
        "InvalidImageName",
        False,
    ),
    "a volume that can't be mounted": (
        AttemptMemory(waiting_reason="ContainerCreating", pod_events=(EventFacts("FailedMount", "no such volume"),)),
        Reason.VOLUME_UNAVAILABLE,
        "FailedMount: no such volume",
        True,
    ),
    "some other Event": (
        AttemptMemory(pod_events=(EventFacts("FailedCreatePodSandBox", "no network"),)),
        Reason.START_TIMEOUT,
        "FailedCreatePodSandBox: no network",
        True,
    ),
    "a Secret that is absent": (
        AttemptMemory(waiting_reason="CreateContainerConfigError", waiting_message='secret "hantei-s3" not found'),
        Reason.START_TIMEOUT,
        'CreateContainerConfigError: secret "hantei-s3" not found',
        True,
    ),
}


@pytest.mark.parametrize(("memory", "reason", "words", "retryable"), NEVER_STARTED.values(), ids=NEVER_STARTED)
def test_a_container_that_never_started_is_never_a_deadline(
    memory: AttemptMemory, reason: Reason, words: str, *, retryable: bool
) -> None:
    for ending in (never_started(memory), ended(a_placed_pod(phase="Failed", reason="DeadlineExceeded"), memory)):
        assert ending.reason is reason
        assert words in ending.message
        assert ending.retryable is retryable


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("0/2 nodes are available: 2 Insufficient nvidia.com/gpu.", Reason.UNSCHEDULABLE),
        ('persistentvolumeclaim "x" not found', Reason.VOLUME_UNAVAILABLE),
        ("pod has unbound immediate PersistentVolumeClaims", Reason.VOLUME_UNAVAILABLE),
        ("1 node(s) had volume node affinity conflict", Reason.VOLUME_UNAVAILABLE),
    ],
)
def test_the_scheduler_waits_for_a_node_or_for_a_volume(words: str, reason: Reason) -> None:
    assert unschedulable(words) is reason


HOSTILE = {
    "a time that no clock holds": forged(timings={"loadSeconds": 1e300}),
    "a score as long as a page": forged(metrics=[["accuracy", 1e300, 1e-5, 10]]),
    "a negative score as long as a page": forged(metrics=[["accuracy", -1.5e308, 1e-300, 10]]),
    "a seed beyond all integers": forged(provenance={"seed": 10**40}),
    "not a number": forged(metrics=[["accuracy", float("nan"), None, 10]]),
    "an endless number": forged(metrics=[["accuracy", float("inf"), None, 10]]),
    "no samples": forged(metrics=[["accuracy", 1.0, None, 0]]),
    "more metrics than fit": forged(metrics=[["accuracy", 1.0, None, 1]] * 65),
    "a metric's name that is a page": forged(metrics=[["a" * 4000, 1.0, None, 1]]),
    "metrics that are no rows": forged(metrics={"accuracy": 1.0}),
    "a gate without metrics": forged("GateFailed", metrics=[]),
    "a message that is a page": forged("EvaluatorError", message="x" * 2048),
    "a link that is a page": forged(wandb={"synced": True, "url": "u" * 4000}),
    "a list": "[1, 2]",
    "a word": '"hantei"',
    "deeper than the stack": "[" * 4096,
    "control characters": "\x1b[31m\x00",
    "another version": json.dumps({"hantei": "v9", "reason": "Completed"}),
}


@pytest.mark.parametrize("exit_code", [0, 1, 70, 75, 137])
@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE)
def test_no_termination_message_keeps_a_run_from_its_end(message: str, exit_code: int) -> None:
    status = written(decide(observe(running(), an_ended_pod(exit_code, message)), 14))

    assert status.finished
    RunStatus.model_validate(status.to_body())
    assert not (status.score and len(status.score) > 64)


def test_an_image_name_longer_than_provenance_holds_is_cut() -> None:
    pod = an_ended_pod(0, a_summary())
    container = ContainerFacts(terminated=pod.container.terminated, image="r" * 512, image_digest="d" * 512)
    status = written(decide(observe(running(), a_placed_pod(phase="Succeeded", container=container)), 14))

    assert status.provenance is not None
    assert len(status.provenance.image or "") == len(status.provenance.image_digest or "") == 256
