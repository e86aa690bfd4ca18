"""Logs an evaluation to W&B from a child process, which can be left behind: W&B down or hanging never changes a verdict."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hantei_api.result import EvaluationResult, WandbOutcome
from hantei_api.task import EvaluationTask
from hantei_evaluator.performance.sla import wandb_values
from hantei_evaluator.run.children import kill_tree, signal_group
from hantei_evaluator.run.logtail import redact

POLL_SECONDS = 0.2
MESSAGE_CHARACTERS = 512
_SCRATCH_VARIABLES = ("TMPDIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR")
logger = logging.getLogger(__name__)


def log_to_wandb(
    task: EvaluationTask, result: EvaluationResult, *, directory: Path, scratch: Path, deadline: Callable[[], float]
) -> WandbOutcome:
    """Log the result as a run of its own and say whether it reached the server.

    ``directory`` takes W&B's run directory, ``scratch`` its other files. ``deadline`` gives the seconds that are left, asked again and again.
    Raises nothing: what goes wrong is in the outcome's message.
    """
    if task.wandb is None:
        raise ValueError("the task has no wandb")
    body = request(task, result, directory, deadline())
    try:
        outcome = _run_child(body, scratch, deadline)
    except OSError as error:
        outcome = _unsynced(f"W&B's process can't be started: {error.strerror}")
    if not outcome.synced:
        logger.warning("W&B: %s", outcome.message)
    return outcome


def request(task: EvaluationTask, result: EvaluationResult, directory: Path, seconds: float) -> dict[str, Any]:
    """What the child logs, as JSON."""
    wandb = task.wandb
    if wandb is None:
        raise ValueError("the task has no wandb")
    values: dict[str, float | int | bool] = {}
    for metric in result.metrics:
        values[f"evaluation/{metric.name}"] = metric.value
        if metric.stderr is not None:
            values[f"evaluation/{metric.name}_stderr"] = metric.stderr
    if task.training_step is not None:
        values["evaluation/timestep"] = task.training_step
    if result.sla is not None:
        values |= wandb_values(result.sla)
    return {
        "mode": wandb.mode.value,
        "project": wandb.project,
        "entity": wandb.entity,
        "group": wandb.group,
        "id": f"{task.run.uid}-{task.run.attempt}" if task.run.attempt > 1 else task.run.uid,
        "name": task.run.name,
        "directory": str(directory),
        "seconds": seconds,
        "values": values,
        "config": {
            "evaluation": {
                "suite": task.suite.model_dump(mode="json", by_alias=True, exclude_none=True),
                "namespace": result.namespace,
                "run": result.run,
                "attempt": result.attempt,
                "complete": result.complete,
                "reason": result.reason.value,
                "trainingStep": task.training_step,
                "provenance": result.provenance.to_body(),
            }
        },
    }


def _run_child(body: dict[str, Any], scratch: Path, deadline: Callable[[], float]) -> WandbOutcome:
    process = subprocess.Popen(  # our own module
        [sys.executable, "-m", "hantei_evaluator.export.wandb_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **{name: str(scratch) for name in _SCRATCH_VARIABLES}},
        start_new_session=True,
    )
    text: str | None = json.dumps(body)
    try:
        while True:
            try:
                answer, errors = process.communicate(text, timeout=POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                text = None
                if deadline() <= POLL_SECONDS:
                    return _unsynced(f"W&B did not answer in time (publishSeconds); {_where(body)}")
    finally:
        # wandb-core has a session of its own, and holds the pipes open.
        kill_tree(process.pid)
        signal_group(process.pid, signal.SIGKILL)
        process.communicate()
    try:
        return WandbOutcome.model_validate_json(answer.strip().splitlines()[-1])
    except (IndexError, ValidationError):
        last = (errors.strip().splitlines() or ["no message"])[-1]
        return _unsynced(f"W&B ended with exit code {process.returncode}: {last}; {_where(body)}")


def _where(body: dict[str, Any]) -> str:
    """What to do about a run that did not reach the server."""
    kept = os.path.join(body["directory"], "wandb")  # noqa: PTH118  # a string in a message
    return f"once it is reachable: wandb sync --yes {kept}/*run-*-{body['id']}"


def _unsynced(message: str) -> WandbOutcome:
    return WandbOutcome(synced=False, message=redact(message)[:MESSAGE_CHARACTERS])
