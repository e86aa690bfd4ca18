"""Raw bodies become facts: what a decision needs, and never an exception for what a field lacks."""

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from hantei_api.status import Phase
from hantei_operator.cluster.facts import event_facts, job_facts, pod_facts, run_facts
from hantei_operator.domain.facts import ContainerFacts, EventFacts, PodFacts

GOLDEN = Path(__file__).parent / "golden"
Body = dict[str, Any]
LABELS = {"hantei.dev/run": "digits", "hantei.dev/run-uid": "run-uid", "hantei.dev/attempt": "2"}


def second(number: int) -> datetime:
    return datetime(2026, 1, 2, 3, 4, number, tzinfo=UTC)


def stamp(number: int) -> str:
    return second(number).strftime("%Y-%m-%dT%H:%M:%SZ")


def metadata(**more: Any) -> Body:
    return {
        "namespace": "team",
        "name": "digits",
        "uid": "own-uid",
        "resourceVersion": "7",
        "creationTimestamp": stamp(1),
        **more,
    }


def pod(status: Body, **more: Any) -> PodFacts:
    body = {
        "metadata": metadata(labels=LABELS, ownerReferences=[{"uid": "job-uid", "controller": True}], **more),
        "spec": {"nodeName": "worker", "activeDeadlineSeconds": 300},
        "status": status,
    }
    return pod_facts(body)


def container(state: Body) -> ContainerFacts:
    return pod({"containerStatuses": [{"name": "sidecar"}, {"name": "evaluator", "state": state}]}).container


def condition(kind: str, status: str, **more: Any) -> Body:
    return {"conditions": [{"type": kind, "status": status, "lastTransitionTime": stamp(9), **more}]}


@pytest.fixture
def run() -> Body:
    return {
        "metadata": metadata(generation=3),
        "spec": yaml.safe_load((GOLDEN / "minimal.run.yaml").read_text()),
        "status": {"phase": "Running", "of": "a newer version"},
    }


def test_a_run(run: Body) -> None:
    facts = run_facts(run)
    assert (facts.namespace, facts.name, facts.uid, facts.resource_version) == ("team", "digits", "own-uid", "7")
    assert (facts.generation, facts.created_at, facts.deleting) == (3, second(1), False)
    assert facts.spec is not None
    assert facts.spec.suite.name == "command"
    assert facts.status.phase is Phase.RUNNING


def test_a_new_run_has_an_empty_status(run: Body) -> None:
    del run["status"]
    assert run_facts(run).status.phase is Phase.PENDING


def test_a_spec_that_is_not_valid_is_named_and_raises_nothing(run: Body) -> None:
    broken = copy.deepcopy(run)
    broken["spec"]["clocks"] = {"wallSeconds": "soon"}
    facts = run_facts(broken)
    assert facts.spec is None
    assert facts.spec_error.startswith("spec.clocks.wallSeconds: ")


def test_a_run_that_is_being_deleted(run: Body) -> None:
    run["metadata"]["deletionTimestamp"] = stamp(5)
    assert run_facts(run).deleting


def test_a_job_belongs_to_its_controller_and_not_to_who_its_labels_claim() -> None:
    owners = [{"uid": "somebody"}, {"uid": "run-uid", "controller": True}]
    body = {"metadata": metadata(labels=LABELS, ownerReferences=owners), "status": {}}
    assert (job_facts(body).run_uid, job_facts(body).attempt) == ("run-uid", 2)
    body["metadata"]["ownerReferences"] = owners[:1]
    assert job_facts(body).run_uid == ""


@pytest.mark.parametrize(("kind", "failed", "complete"), [("Failed", True, False), ("Complete", False, True)])
def test_how_a_job_ended(kind: str, failed: bool, complete: bool) -> None:  # noqa: FBT001  # parameters of the test
    ended = job_facts({"metadata": metadata(), "status": condition(kind, "True")})
    assert (ended.failed, ended.complete) == (failed, complete)
    going = job_facts({"metadata": metadata(), "status": condition(kind, "False")})
    assert (going.failed, going.complete) == (False, False)


def test_a_pod_without_a_status() -> None:
    facts = pod({})
    assert (facts.phase, facts.attempt, facts.run_uid, facts.job_uid) == ("Pending", 2, "run-uid", "job-uid")
    assert facts.container == ContainerFacts()


def test_where_and_since_when_a_pod_runs() -> None:
    facts = pod({"phase": "Running", "startTime": stamp(3), "podIP": "10.0.0.1", **condition("Ready", "True")})
    assert (facts.node, facts.started_at, facts.ready_at, facts.address) == ("worker", second(3), second(9), "10.0.0.1")
    assert facts.active_deadline_seconds == 300
    assert pod(condition("Ready", "False")).ready_at is None


def test_what_the_scheduler_says() -> None:
    waiting = pod(condition("PodScheduled", "False", message="0/2 nodes are available"))
    assert (waiting.unschedulable, waiting.scheduled_at) == ("0/2 nodes are available", None)
    bound = pod(condition("PodScheduled", "True"))
    assert (bound.unschedulable, bound.scheduled_at) == ("", second(9))


def test_who_disrupts_a_pod() -> None:
    words = {"reason": "PreemptionByScheduler", "message": "for training"}
    assert pod(condition("DisruptionTarget", "True", **words)).disruption_reason == "PreemptionByScheduler"
    assert pod(condition("DisruptionTarget", "False", **words)).disruption_reason == ""


def test_a_deletion_was_asked_for_a_grace_period_before_its_timestamp() -> None:
    facts = pod({}, deletionTimestamp=stamp(10), deletionGracePeriodSeconds=5)
    assert facts.deleting_since == second(5)


def test_what_a_container_waits_for() -> None:
    facts = container({"waiting": {"reason": "ErrImagePull", "message": "not found"}})
    assert (facts.waiting_reason, facts.waiting_message, facts.ever_started) == ("ErrImagePull", "not found", False)


def test_how_a_container_ended() -> None:
    ended = {"exitCode": 137, "reason": "OOMKilled", "message": "m", "startedAt": stamp(2), "finishedAt": stamp(8)}
    facts = container({"terminated": ended})
    assert facts.terminated is not None
    assert (facts.terminated.exit_code, facts.terminated.reason) == (137, "OOMKilled")
    assert (facts.terminated.started_at, facts.terminated.finished_at) == (second(2), second(8))
    assert facts.ever_started


def test_the_zero_time_of_a_container_that_never_started_is_none() -> None:
    facts = container({"terminated": {"exitCode": 128, "reason": "StartError", "startedAt": "0001-01-01T00:00:00Z"}})
    assert not facts.ever_started


def test_an_event() -> None:
    assert event_facts({"reason": "FailedCreate", "message": "quota"}) == EventFacts("FailedCreate", "quota")


def test_a_status_that_a_newer_operator_wrote_is_left_alone_and_breaks_nothing() -> None:
    body = {
        "metadata": {
            "namespace": "team",
            "name": "run",
            "uid": "u",
            "resourceVersion": "7",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {},
        "status": {"phase": "Meditating"},
    }
    facts = run_facts(body)
    assert facts.unreadable_status.startswith("status.phase")
    assert facts.spec is None
