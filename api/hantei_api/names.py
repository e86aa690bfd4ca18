"""Names that the operator, the evaluator, the chart and the users share."""

from typing import Final

GROUP: Final = "hantei.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "hantei.dev/v1alpha1"

RUN_KIND = "EvaluationRun"
RUN_PLURAL = "evaluationruns"

RUN_LABEL = f"{GROUP}/run"
"""On Jobs and pods: the name of the EvaluationRun (63 characters at most, which CEL enforces)."""
RUN_UID_LABEL = f"{GROUP}/run-uid"
ATTEMPT_LABEL = f"{GROUP}/attempt"
TASK_ANNOTATION = f"{GROUP}/task"
"""On the pod: the EvaluationTask as JSON, handed to the container as a file by a downwardAPI volume."""

SECRET_PREFIX = "hantei-"  # noqa: S105  # a prefix of names, no secret
"""Secrets that a run names start with this: a right to create runs is no right to read every Secret."""

EVALUATOR_PORT = 9464
CONTAINER_NAME = "evaluator"

TASK_DIRECTORY = "/etc/hantei"
TASK_FILE = "task.json"
INPUTS_DIRECTORY = "/inputs"
OUTPUT_DIRECTORY = "/output"
SCRATCH_DIRECTORY = "/tmp"  # noqa: S108  # an emptyDir of the pod's own, sized by ephemeralStorage

GRACE_SECONDS = 5
"""Between SIGTERM and SIGKILL: time to flush partial results."""
WALL_MARGIN_SECONDS = 5
"""The soft deadline lies this much (and the grace) before the pod's activeDeadlineSeconds."""

TERMINATION_MESSAGE_BYTES = 3900
"""The kubelet keeps the last 4,096 bytes; the summary stays below so that it is always whole."""
