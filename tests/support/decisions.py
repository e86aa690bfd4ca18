"""Builders for tests of decisions: a run, its Job and its pod, on a clock that starts at nought."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hantei_api.metrics import Metric
from hantei_api.reasons import Reason
from hantei_api.result import EvaluationResult, to_termination_message
from hantei_api.spec import EvaluationRunSpec
from hantei_api.status import Attempt, Condition, ConditionType, Phase, RunStatus
from hantei_operator.domain.actions import Action, Plan
from hantei_operator.domain.facts import (
    AttemptMemory,
    ContainerFacts,
    JobFacts,
    Observed,
    PodFacts,
    Policy,
    RunFacts,
    TerminatedFacts,
)
from hantei_operator.domain.plan import plan

START = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = Policy(default_image="hantei/evaluator:dev", image_prefixes=("hantei/",), node_selector_keys=("pool",))
ACCURACY = Metric(name="accuracy", value=0.96, stderr=0.01, n=360)


def at(seconds: float) -> datetime:
    """So many seconds after the run was created."""
    return START + timedelta(seconds=seconds)


def a_spec(**changes: Any) -> EvaluationRunSpec:
    """A command run with one GPU and short clocks, less round than the defaults."""
    return EvaluationRunSpec.model_validate(
        {
            "checkpoint": {"pvc": {"claimName": "checkpoints", "path": "model.pt"}},
            "suite": {"command": {"argv": ["evaluate"]}},
            "clocks": {"queueSeconds": 100, "startSeconds": 30, "wallSeconds": 60},
        }
        | changes
    )


def a_run(spec: EvaluationRunSpec | None = None, status: RunStatus | None = None, **changes: Any) -> RunFacts:
    """A run that was created at nought."""
    return RunFacts(
        **{  # type: ignore[arg-type]  # the changes are each test's own
            "namespace": "team",
            "name": "run",
            "uid": "run-uid",
            "resource_version": "1",
            "generation": 1,
            "created_at": START,
            "spec": spec or a_spec(),
            "status": status or RunStatus(),
        }
        | changes
    )


def a_condition(kind: ConditionType, reason: str, *, value: bool = True) -> Condition:
    """A condition set at nought."""
    return Condition(type=kind, status=str(value), reason=reason, last_transition_time=START)


def an_attempt(number: int = 1, **changes: Any) -> Attempt:
    """An attempt that was reserved at nought and holds a GPU."""
    return Attempt(**{"number": number, "job_name": f"run-{number}", "reserved_at": START, "gpus": 1} | changes)


def ended_attempt(number: int, reason: Reason, begin: float = 0, end: float = 10) -> Attempt:
    """An attempt that was bound and ready at ``begin`` and over at ``end``."""
    return an_attempt(number, reason=reason, scheduled_at=at(begin), ready_at=at(begin), ended_at=at(end))


def reserved(*attempts: Attempt, **changes: Any) -> RunStatus:
    """The status of a run whose last attempt holds a reservation and waits for its pod to be placed."""
    return RunStatus(
        **{
            "phase": Phase.STARTING,
            "message": "capacity reserved",
            "suite": "command",
            "attempts": list(attempts or [an_attempt()]),
            "conditions": [
                a_condition(ConditionType.ACCEPTED, "Accepted"),
                a_condition(ConditionType.CAPACITY_RESERVED, "NoGuard"),
            ],
            "queued_since": START,
        }
        | changes
    )


def between(*attempts: Attempt, **changes: Any) -> RunStatus:
    """The status of a run whose attempts are all over, and which waits for its next."""
    return reserved(*attempts, **{"phase": Phase.QUEUED, "queued_since": attempts[-1].ended_at} | changes)


def running(**changes: Any) -> RunStatus:
    """The status of a run whose attempt was bound at 1 s and ready at 3 s."""
    attempt = an_attempt(scheduled_at=at(1), ready_at=at(3), pod_name="pod", node_name="node", **changes)
    return reserved(attempt, phase=Phase.RUNNING, queued_since=None)


def a_job(attempt: int = 1, **changes: Any) -> JobFacts:
    """The attempt's Job, created at nought."""
    return JobFacts(
        **{  # type: ignore[arg-type]
            "namespace": "team",
            "name": f"run-{attempt}",
            "uid": f"job-{attempt}",
            "run_uid": "run-uid",
            "run_name": "run",
            "attempt": attempt,
            "created_at": START,
        }
        | changes
    )


def a_pod(attempt: int = 1, **changes: Any) -> PodFacts:
    """The attempt's pod, created at nought and not placed."""
    return PodFacts(
        **{  # type: ignore[arg-type]
            "namespace": "team",
            "name": "pod",
            "uid": "pod-uid",
            "run_uid": "run-uid",
            "run_name": "run",
            "attempt": attempt,
            "job_uid": f"job-{attempt}",
            "created_at": START,
        }
        | changes
    )


def a_placed_pod(waiting: str = "ContainerCreating", **changes: Any) -> PodFacts:
    """A pod that was bound at 1 s, and whose container waits."""
    container = ContainerFacts(waiting_reason=waiting)
    return a_pod(**{"node": "node", "scheduled_at": at(1), "started_at": at(1), "container": container} | changes)


def a_running_pod(**changes: Any) -> PodFacts:
    """A pod whose container runs since 2 s and is ready since 3 s."""
    container = ContainerFacts(running_since=at(2), image="hantei/evaluator:1", image_digest="sha256:1")
    return a_placed_pod(**{"phase": "Running", "ready_at": at(3), "container": container} | changes)


def an_ended_pod(
    exit_code: int = 0, termination: str = "", *, word: str = "", started: float | None = 2, **changes: Any
) -> PodFacts:
    """A pod whose container ended at 13 s, with the termination message that it left."""
    terminated = TerminatedFacts(
        exit_code,
        word or ("Completed" if exit_code == 0 else "Error"),
        termination,
        at(started) if started is not None else None,
        at(13),
    )
    container = ContainerFacts(terminated=terminated, image="hantei/evaluator:1", image_digest="sha256:1")
    return a_placed_pod(**{"phase": "Failed" if exit_code else "Succeeded", "container": container} | changes)


def a_summary(reason: Reason = Reason.COMPLETED, **changes: Any) -> str:
    """The termination message of an evaluation: accuracy of 360 samples."""
    result = {
        "namespace": "team",
        "run": "run",
        "attempt": 1,
        "suite": "command",
        "reason": reason,
        "complete": True,
        "metrics": [ACCURACY],
        "started_at": START,
        "finished_at": at(13),
    }
    return to_termination_message(EvaluationResult.model_validate(result | changes))


def observe(
    run: RunFacts | RunStatus | None = None,
    *parts: JobFacts | PodFacts,
    spec: EvaluationRunSpec | None = None,
    memory: AttemptMemory | None = None,
    slot_free: bool = False,
    runs_ahead: int = 0,
) -> Observed:
    """A run beside its Jobs and pods."""
    facts = run if isinstance(run, RunFacts) else a_run(spec, run)
    return Observed(
        run=facts,
        jobs=tuple(part for part in parts if isinstance(part, JobFacts)),
        pods=tuple(part for part in parts if isinstance(part, PodFacts)),
        memory=memory or AttemptMemory(attempt=1),
        slot_free=slot_free,
        runs_ahead=runs_ahead,
    )


def decide(observed: Observed, seconds: float) -> Plan:
    """The plan, so many seconds after the run was created; what it writes is a status that a server would take."""
    decided = plan(observed, at(seconds), POLICY)
    if decided.status is not None:
        RunStatus.model_validate_json(decided.status.model_dump_json(by_alias=True))
    return decided


def kinds(decided: Plan) -> list[type[Action]]:
    """The classes of a plan's actions, in order."""
    return [type(action) for action in decided.actions]


def written(decided: Plan) -> RunStatus:
    """The status that a plan writes."""
    assert decided.status is not None, "the plan writes no status"
    return decided.status
