"""From raw bodies to the frozen facts that decisions look at. Nothing else reads raw bodies."""

import logging
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from hantei_api.names import ATTEMPT_LABEL, CONTAINER_NAME, RUN_LABEL, RUN_UID_LABEL
from hantei_api.spec import EvaluationRunSpec
from hantei_api.status import RunStatus
from hantei_operator.cluster.client import Body
from hantei_operator.domain.facts import ContainerFacts, EventFacts, JobFacts, PodFacts, RunFacts, TerminatedFacts
from hantei_operator.domain.volumes import ClaimFacts, ClaimUser

logger = logging.getLogger(__name__)

MAX_GRACE_SECONDS = 10**7
"""Beyond this a grace period is somebody's joke, and no date can be made of it."""


def run_facts(body: Body) -> RunFacts:
    """An EvaluationRun. A spec that another version let in becomes ``spec_error``, never an exception."""
    metadata = body["metadata"]
    spec: EvaluationRunSpec | None = None
    error = ""
    try:
        spec = EvaluationRunSpec.model_validate(body.get("spec", {}))
    except ValidationError as problem:
        error = _first_error("spec", problem)
    status, unreadable = RunStatus(), ""
    try:
        status = RunStatus.model_validate(body.get("status") or {})
    except ValidationError as problem:
        unreadable = _first_error("status", problem)
        logger.warning("run %s/%s is left alone: %s", metadata["namespace"], metadata["name"], unreadable)
    return RunFacts(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=metadata.get("generation", 1),
        created_at=_required_time(metadata["creationTimestamp"]),
        spec=spec,
        spec_error=error,
        status=status,
        unreadable_status=unreadable,
        unreadable_reserved=bool(unreadable) and _reserved(body),
        deleting="deletionTimestamp" in metadata,
    )


def _reserved(body: Body) -> bool:
    """Whether a status that can't be read as a whole holds a reservation, by its conditions alone."""
    conditions = (body.get("status") or {}).get("conditions") or []
    return any(each.get("type") == "CapacityReserved" and each.get("status") == "True" for each in conditions)


def _first_error(where: str, problem: ValidationError) -> str:
    first = problem.errors()[0]
    return f"{where}.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def job_facts(body: Body) -> JobFacts:
    """A Job."""
    metadata = body["metadata"]
    owner: Body = next((each for each in metadata.get("ownerReferences", []) if each.get("controller")), {})
    true = {each["type"] for each in body.get("status", {}).get("conditions") or [] if each.get("status") == "True"}
    return JobFacts(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        run_uid=owner.get("uid", ""),
        run_name=metadata.get("labels", {}).get(RUN_LABEL, ""),
        attempt=_attempt(metadata),
        created_at=_required_time(metadata["creationTimestamp"]),
        deleting="deletionTimestamp" in metadata,
        failed="Failed" in true,
        complete="Complete" in true,
    )


def pod_facts(body: Body) -> PodFacts:
    """A pod of an evaluation."""
    metadata, spec, status = body["metadata"], body.get("spec", {}), body.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    scheduled, ready = conditions.get("PodScheduled", {}), conditions.get("Ready", {})
    disruption = conditions.get("DisruptionTarget", {})
    disrupted = disruption.get("status") == "True"
    owner: Body = next((each for each in metadata.get("ownerReferences", []) if each.get("controller")), {})
    return PodFacts(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        run_uid=metadata.get("labels", {}).get(RUN_UID_LABEL, ""),
        run_name=metadata.get("labels", {}).get(RUN_LABEL, ""),
        attempt=_attempt(metadata),
        job_uid=owner.get("uid", ""),
        job_name=owner.get("name", "") if owner.get("kind") == "Job" else "",
        created_at=_required_time(metadata["creationTimestamp"]),
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        node=spec.get("nodeName", ""),
        scheduled_at=_time(scheduled.get("lastTransitionTime")) if scheduled.get("status") == "True" else None,
        unschedulable=scheduled.get("message", "") if scheduled.get("status") == "False" else "",
        started_at=_time(status.get("startTime")),
        ready_at=_time(ready.get("lastTransitionTime")) if ready.get("status") == "True" else None,
        deleting_since=_deleting_since(metadata),
        disruption_reason=disruption.get("reason", "") if disrupted else "",
        disruption_message=disruption.get("message", "") if disrupted else "",
        active_deadline_seconds=spec.get("activeDeadlineSeconds"),
        address=status.get("podIP", ""),
        container=_container(status),
    )


def event_facts(body: Body) -> EventFacts:
    """An Event, in its writer's words."""
    return EventFacts(reason=body.get("reason", ""), message=body.get("message", ""))


def claim_facts(body: Body) -> ClaimFacts:
    """A PersistentVolumeClaim."""
    return ClaimFacts(body["metadata"]["name"], frozenset(body.get("spec", {}).get("accessModes") or []))


def claim_users(pods: list[Body]) -> list[ClaimUser]:
    """The live pods among ``pods``, with the claims they mount."""
    return [
        ClaimUser(
            pod=pod["metadata"]["name"],
            node=pod["spec"].get("nodeName", ""),
            claims=frozenset(
                volume["persistentVolumeClaim"]["claimName"]
                for volume in pod["spec"].get("volumes", [])
                if "persistentVolumeClaim" in volume
            ),
        )
        for pod in pods
        if pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}
        # A pod that is being deleted, on a lost node perhaps for ever, binds nobody to its node.
        and "deletionTimestamp" not in pod["metadata"]
    ]


def _container(status: Body) -> ContainerFacts:
    body: Body = next(
        (each for each in status.get("containerStatuses") or [] if each.get("name") == CONTAINER_NAME), {}
    )
    state = body.get("state", {})
    waiting, ended = state.get("waiting") or {}, state.get("terminated")
    terminated = None
    if ended is not None:
        terminated = TerminatedFacts(
            exit_code=ended.get("exitCode", 0),
            reason=ended.get("reason", ""),
            message=ended.get("message", ""),
            started_at=_time(ended.get("startedAt")),
            finished_at=_time(ended.get("finishedAt")),
        )
    return ContainerFacts(
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        running_since=_time((state.get("running") or {}).get("startedAt")),
        terminated=terminated,
        image=body.get("image", ""),
        image_digest=body.get("imageID", ""),
    )


def _attempt(metadata: Body) -> int:
    label = metadata.get("labels", {}).get(ATTEMPT_LABEL, "0")
    return int(label) if label.isdecimal() else 0


def _deleting_since(metadata: Body) -> datetime | None:
    """The deletionTimestamp is when the pod must be gone: the grace period lies before it."""
    stamp = _time(metadata.get("deletionTimestamp"))
    grace_seconds = min(metadata.get("deletionGracePeriodSeconds") or 0, MAX_GRACE_SECONDS)
    return stamp - timedelta(seconds=grace_seconds) if stamp else None


def _time(text: Any) -> datetime | None:
    """A timestamp; the zero time, which the kubelet writes for a container that never started, is none."""
    return _required_time(text) if text and not str(text).startswith("0001-") else None


def _required_time(text: str) -> datetime:
    return datetime.fromisoformat(text)
