"""The Job of one attempt: pure, from what the run asks for and what the platform engineer set."""

from hantei_api.names import (
    API_VERSION,
    ATTEMPT_LABEL,
    CONTAINER_NAME,
    EVALUATOR_PORT,
    GRACE_SECONDS,
    INPUTS_DIRECTORY,
    OUTPUT_DIRECTORY,
    RUN_KIND,
    RUN_LABEL,
    RUN_UID_LABEL,
    SCRATCH_DIRECTORY,
    TASK_ANNOTATION,
    TASK_DIRECTORY,
    TASK_FILE,
)
from hantei_api.spec import EvaluationRunSpec
from hantei_operator.cluster.client import Body
from hantei_operator.cluster.tasks import (
    SUITES_WITHOUT_PROGRESS,
    VOLUMES_DIRECTORY,
    build_task,
    claims_read,
    claims_written,
    credentials,
    number,
)
from hantei_operator.domain.actions import CreateJob
from hantei_operator.domain.facts import RunFacts
from hantei_operator.domain.names import job_name
from hantei_operator.settings import Evaluations, PodDefaults, Settings

UNREACHABLE_SECONDS = 30
LINKS_SIZE = "1Mi"
"""/inputs holds links alone: the evaluator makes one for each input, to where it was mounted or fetched."""


def build_job(
    run: RunFacts, action: CreateJob, settings: Settings, *, node: str = "", baseline: RunFacts | None = None
) -> Body:
    """The Job of an attempt.

    ``node`` is where its volumes ask it to run, empty for anywhere; ``baseline`` the run that ``spec.baseline.run`` names.

    Raises
    ------
    ValueError
        The run's spec is not valid, or its baseline's results are gone; no attempt is planned for such a run.
    """
    if run.spec is None:
        raise ValueError(f"run {run.namespace}/{run.name} has no valid spec: {run.spec_error}")
    labels = {
        RUN_LABEL: run.name,
        RUN_UID_LABEL: run.uid,
        ATTEMPT_LABEL: str(action.attempt),
        "app.kubernetes.io/name": "hantei",
        "app.kubernetes.io/component": "evaluation",
        "app.kubernetes.io/managed-by": "hantei-operator",
    }
    owner = {
        "apiVersion": API_VERSION,
        "kind": RUN_KIND,
        "name": run.name,
        "uid": run.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    task = build_task(run, run.spec, action, baseline).model_dump_json(by_alias=True, exclude_none=True)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(run.name, run.uid, action.attempt),
            "namespace": run.namespace,
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {
            "backoffLimit": 0,
            # Never two pods of one attempt: a deleted pod is replaced, if at all, when it has ended.
            "podReplacementPolicy": "Failed",
            "template": {
                "metadata": {"labels": labels, "annotations": {TASK_ANNOTATION: task}},
                "spec": _pod_spec(run.spec, baseline, action, settings.evaluations, node),
            },
        },
    }


def _pod_spec(
    spec: EvaluationRunSpec, baseline: RunFacts | None, action: CreateJob, evaluations: Evaluations, node: str
) -> Body:
    defaults = evaluations.pod_defaults
    volumes, mounts = _volumes(spec, baseline, defaults)
    optional = {
        "nodeSelector": {**spec.resources.node_selector, **defaults.node_selector},
        "runtimeClassName": defaults.runtime_class_name,
        "priorityClassName": evaluations.priority_class_name,
        "imagePullSecrets": [{"name": name} for name in defaults.image_pull_secrets],
        "affinity": _on_node(node) if node else None,
    }
    return {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": action.wall_seconds,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "serviceAccountName": defaults.service_account_name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _pod_security(defaults),
        "tolerations": [*_tolerations(spec, defaults), *map(_leave_node, ("not-ready", "unreachable"))],
        **{key: value for key, value in optional.items() if value},
        "containers": [_container(spec, credentials(spec, baseline), evaluations, mounts)],
        "volumes": volumes,
    }


def _tolerations(spec: EvaluationRunSpec, defaults: PodDefaults) -> list[Body]:
    """Those of the chart; a run without a GPU has no business on nodes that are tainted for GPUs."""
    return [
        each for each in defaults.tolerations if spec.resources.gpus or each.get("key") != spec.resources.gpu_resource
    ]


def _on_node(node: str) -> Body:
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    required = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def _container(spec: EvaluationRunSpec, secrets: list[str], evaluations: Evaluations, mounts: list[Body]) -> Body:
    resources = _resources(spec)
    sources = [{"secretRef": {"name": name}} for name in secrets]
    return {
        "name": CONTAINER_NAME,
        "image": spec.image or evaluations.image,
        "imagePullPolicy": evaluations.image_pull_policy,
        "args": ["evaluate", "--task", f"{TASK_DIRECTORY}/{TASK_FILE}"],
        "env": [
            {"name": "HOME", "value": SCRATCH_DIRECTORY},
            # OpenMP counts the node's cores; more threads than the pod's cores make everything slower.
            {"name": "OMP_NUM_THREADS", "value": str(max(1, int(number(spec.resources.cpu))))},
            *_wandb_environment(spec),
        ],
        **({"envFrom": sources} if sources else {}),
        "ports": [{"name": "metrics", "containerPort": EVALUATOR_PORT}],
        "resources": {"requests": resources, "limits": resources},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
        **_probes(spec),
    }


def _resources(spec: EvaluationRunSpec) -> Body:
    """Requests, and limits as well: nothing is lent, so nothing is taken back in the middle of an evaluation."""
    wanted = spec.resources
    resources = {
        "cpu": str(wanted.cpu),
        "memory": str(wanted.memory),
        "ephemeral-storage": str(wanted.ephemeral_storage),
    }
    return {**resources, wanted.gpu_resource: str(wanted.gpus)} if wanted.gpus else resources


def _probes(spec: EvaluationRunSpec) -> Body:
    """Ready starts the run clock, so it is asked for every second; /live says no when there is no progress any more."""
    ready = {"httpGet": {"path": "/ready", "port": EVALUATOR_PORT}, "timeoutSeconds": 2}
    probes: Body = {
        "startupProbe": {**ready, "periodSeconds": 1, "failureThreshold": spec.clocks.start_seconds},
        "readinessProbe": {**ready, "periodSeconds": 10},
    }
    if spec.suite.name not in SUITES_WITHOUT_PROGRESS:
        live = {"httpGet": {"path": "/live", "port": EVALUATOR_PORT}, "timeoutSeconds": 5}
        probes["livenessProbe"] = {**live, "periodSeconds": 5, "failureThreshold": 3}
    return probes


def _wandb_environment(spec: EvaluationRunSpec) -> list[Body]:
    if spec.wandb is None or spec.wandb.secret_name is None:
        return []
    name = spec.wandb.secret_name
    return [
        {"name": "WANDB_API_KEY", "valueFrom": {"secretKeyRef": {"name": name, "key": "WANDB_API_KEY"}}},
        {
            "name": "WANDB_BASE_URL",
            "valueFrom": {"secretKeyRef": {"name": name, "key": "WANDB_BASE_URL", "optional": True}},
        },
    ]


def _pod_security(defaults: PodDefaults) -> Body:
    optional = {
        "runAsUser": defaults.run_as_user,
        "runAsGroup": defaults.run_as_group,
        "fsGroup": defaults.fs_group,
        # Changing the owner of every file of a volume of checkpoints would take longer than the evaluation.
        "fsGroupChangePolicy": "OnRootMismatch" if defaults.fs_group is not None else None,
        "supplementalGroups": defaults.supplemental_groups or None,
    }
    return {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        **{key: value for key, value in optional.items() if value is not None},
    }


def _leave_node(trouble: str) -> Body:
    return {
        "key": f"node.kubernetes.io/{trouble}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": UNREACHABLE_SECONDS,
    }


def _volumes(
    spec: EvaluationRunSpec, baseline: RunFacts | None, defaults: PodDefaults
) -> tuple[list[Body], list[Body]]:
    """One volume for each claim, mounted once for reading and once for the output."""
    task = {"path": TASK_FILE, "fieldRef": {"fieldPath": f"metadata.annotations['{TASK_ANNOTATION}']"}}
    volumes: list[Body] = [
        {"name": "task", "downwardAPI": {"items": [task]}},
        {"name": "scratch", "emptyDir": {"sizeLimit": str(spec.resources.ephemeral_storage)}},
        {"name": "inputs", "emptyDir": {"sizeLimit": LINKS_SIZE}},
    ]
    mounts: list[Body] = [
        {"name": "task", "mountPath": TASK_DIRECTORY, "readOnly": True},
        {"name": "scratch", "mountPath": SCRATCH_DIRECTORY},
        {"name": "inputs", "mountPath": INPUTS_DIRECTORY},
    ]
    if defaults.shared_memory:
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": defaults.shared_memory}})
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108  # a memory-backed volume of the pod's own
    read, written = claims_read(spec, baseline), claims_written(spec)
    for index, claim in enumerate(dict.fromkeys([*read, *written])):
        name = f"claim-{index}"
        volumes.append({"name": name, "persistentVolumeClaim": {"claimName": claim}})
        if claim in read:
            mounts.append({"name": name, "mountPath": f"{VOLUMES_DIRECTORY}/{claim}", "readOnly": True})
        if claim in written:
            mounts.append({"name": name, "mountPath": OUTPUT_DIRECTORY})
    return volumes, mounts
