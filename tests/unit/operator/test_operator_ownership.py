"""Whose Job, whose pod, whose image: labels and names alone can be anybody's."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from hantei_api.reasons import Reason
from hantei_operator.cluster.facts import claim_users, pod_facts
from hantei_operator.domain.admission import refusal
from hantei_operator.domain.facts import AttemptMemory, Policy, RunFacts
from hantei_operator.domain.names import job_name
from hantei_operator.ledger import Ledger
from hantei_operator.metrics import Metrics
from hantei_operator.reconciler import Reconciler
from hantei_operator.settings import Settings
from support.decisions import a_job, a_run, a_running_pod, a_spec, an_ended_pod, at, decide, observe, reserved, written

NAME = job_name("run", "run-uid", 1)


class Known:
    """A stand-in for an informer: what it knows, by name."""

    def __init__(self, *objects: Any) -> None:
        self._objects = objects

    def get(self, namespace: str, name: str) -> Any:
        return next((each for each in self._objects if (each.namespace, each.name) == (namespace, name)), None)

    def values(self) -> list[Any]:
        return list(self._objects)


def reconciler(run: RunFacts, jobs: tuple[Any, ...] = (), pods: tuple[Any, ...] = ()) -> Reconciler:
    return Reconciler(
        gateway=SimpleNamespace(),  # type: ignore[arg-type]
        runs=Known(run),  # type: ignore[arg-type]
        jobs=Known(*jobs),  # type: ignore[arg-type]
        pods=Known(*pods),  # type: ignore[arg-type]
        settings=Settings(),
        metrics=Metrics(CollectorRegistry()),
    )


def test_a_run_that_was_created_again_never_takes_its_predecessors_result() -> None:
    new = replace(a_run(status=reserved()), uid="another-uid")
    acting = reconciler(new)
    acting.pod_changed(an_ended_pod(0, job_name=NAME), None)
    acting.job_changed(a_job(name=NAME), None)
    assert acting.memories.of(("team", "run"), 1) == AttemptMemory(attempt=1)


@pytest.mark.parametrize(
    "forged",
    [
        {"job_name": ""},
        {"job_name": "another"},
        {"namespace": "elsewhere", "job_name": NAME},
        {"job_uid": "x", "job_name": NAME},
    ],
)
def test_a_pod_that_only_carries_the_labels_is_nobodys(forged: dict[str, str]) -> None:
    run = a_run(status=reserved())
    pod = a_running_pod(**forged)
    acting = reconciler(run, (a_job(name=NAME),), (pod,))
    acting.pod_changed(None, pod)
    assert acting.memories.of(("team", "run"), 1).last_pod is None
    assert acting.running_pods() == []


def test_the_pod_of_the_attempts_own_job_is_the_runs() -> None:
    pod = a_running_pod(job_name=NAME)
    acting = reconciler(a_run(status=reserved()), (a_job(name=NAME),), (pod,))
    acting.pod_changed(None, pod)
    assert acting.memories.of(("team", "run"), 1).last_pod == pod
    assert acting.running_pods() == [pod]


def test_a_pod_that_was_orphaned_is_still_the_runs_and_can_be_stopped() -> None:
    pod = a_running_pod(name=f"{NAME}-x7k2p", job_uid="")
    assert reconciler(a_run(status=reserved()), (), (pod,)).running_pods() == [pod]
    assert reconciler(a_run(status=reserved()), (a_job(name=NAME),), (pod,)).running_pods() == []


def test_a_job_that_would_be_refused_for_ever_ends_the_run_at_once() -> None:
    memory = AttemptMemory(attempt=1, refused="spec.template.spec.containers[0].resources: Invalid value")
    status = written(decide(observe(reserved(), memory=memory), 1))
    assert status.reason is Reason.INVALID_TASK
    assert "Invalid value" in (status.message or "")


@pytest.mark.parametrize(
    ("prefixes", "image", "allowed"),
    [
        ((), "hantei/evaluator:dev", True),
        ((), "evil.example/miner:1", False),
        (("reg.example/ml",), "reg.example/ml/eval:1", True),
        (("reg.example/ml",), "reg.example/ml-evil:1", False),
        (("reg.example/ml/",), "reg.example/ml/eval:1", True),
        (("reg.example/ml",), "reg.example/ml", True),
        (("",), "evil.example/miner:1", False),
    ],
)
def test_no_prefix_allows_no_image_but_the_default(prefixes: tuple[str, ...], image: str, *, allowed: bool) -> None:
    policy = Policy(default_image="hantei/evaluator:dev", image_prefixes=prefixes)
    assert (refusal(a_run(a_spec(image=image)), policy) == "") == allowed


def test_a_status_that_can_not_be_read_keeps_nobody_waiting_and_its_reservation_counts() -> None:
    ledger = Ledger(1)
    old = replace(a_run(), unreadable_status="status.reason: new")
    new = replace(a_run(), name="new", created_at=at(9))
    ledger.note(("team", "run"), old)
    ledger.note(("team", "new"), new)
    assert ledger.look(new, at(10)) == (True, 0)
    ledger.note(("team", "run"), replace(old, unreadable_reserved=True))
    assert ledger.look(new, at(10)) == (False, 0)


def test_a_run_that_leaves_the_queue_lets_the_next_one_move_up() -> None:
    ledger = Ledger(1)
    ledger.note(("team", "run"), a_run())
    assert ledger.note(("team", "run"), a_run(a_spec(suspend=True)))
    assert not ledger.note(("team", "run"), a_run())


def test_an_absurd_grace_period_is_no_reason_to_see_nothing_any_more() -> None:
    stamps = {"creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    body = {"metadata": {"namespace": "n", "name": "p", "uid": "u", "deletionGracePeriodSeconds": 10**11, **stamps}}
    assert pod_facts(body).deleting_since is not None


def test_a_pod_on_a_lost_node_binds_no_retry_to_it() -> None:
    volumes = [{"persistentVolumeClaim": {"claimName": "data"}}]
    spec = {"nodeName": "dead", "volumes": volumes}
    gone = {"metadata": {"name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec}
    alive = {"metadata": {"name": "q"}, "spec": spec}
    assert [user.pod for user in claim_users([gone, alive])] == ["q"]
