"""What the checkpoint is compared with: the samples of a finished run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from hantei_api.gate import Gate
from hantei_api.metrics import Metric
from hantei_api.reasons import Reason
from hantei_api.result import EvaluationResult
from hantei_api.task import EvaluationTask, TaskArtifact, TaskBaseline
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.inputs import locate, room_left, verify
from hantei_evaluator.run.publish import RESULT_FILE
from hantei_evaluator.run.resume import IDENTITY_FILE, Identity, SampleFiles, difference, read_identity, read_lines
from hantei_evaluator.run.task import describe
from hantei_evaluator.run.unreadable import unreadable
from hantei_evaluator.run.values import SampleValues

AGENT_PART = "agent."
"""Parts of an identity that begin so say how a checkpoint answers: in them a run and its baseline may differ."""


@dataclass(frozen=True)
class Reference:
    """A baseline's side of the comparison."""

    name: str
    """As sentences name it."""
    metrics: Mapping[str, Metric]
    values: SampleValues
    identity: Identity | None = None
    identifier: str = ""
    """As the comparison names it, where that is not ``name``: the checkpoint's SHA-256."""
    unfinished: str = ""
    """Why not all of its samples are there, for people; empty when they are."""


@dataclass(frozen=True)
class BaselineCheckpoint:
    """A baseline that is yet to be evaluated."""

    path: Path
    sha256: str


def check(task: EvaluationTask) -> None:
    """Refuse a baseline or a gate that can't be judged, before anything is read. Raises InvalidTask."""
    baseline, gate = task.baseline, task.gate
    if baseline is None and gate is not None and gate.max_drop is not None:
        raise _invalid("gate.maxDrop needs baseline: name the run or checkpoint that the drop is measured against.")
    if baseline is None:
        return
    if (baseline.directory is None) == (baseline.checkpoint is None):
        raise _invalid("baseline names exactly one of directory, checkpoint.")
    if baseline.checkpoint is not None and task.suite.command is not None:
        raise _invalid(
            "baseline.checkpoint is not for the command suite: evaluate the baseline on its own and name its results."
        )


def open_baseline(task: EvaluationTask, scratch: Path) -> Reference | BaselineCheckpoint | None:
    """The task's baseline: there, whole and comparable as far as that can be told before anything is loaded.

    Raises CheckpointMissing, CheckpointInvalid, InvalidTask, and what can't be fetched raises.
    """
    if task.baseline is None:
        return None
    if task.baseline.checkpoint is None:
        return _read_reference(task, task.baseline, scratch)
    what, artifact = "baseline.checkpoint", task.baseline.checkpoint
    path, digest = locate(what, artifact, scratch / "baseline", room_left(task.limits.scratch_bytes, scratch))
    return BaselineCheckpoint(path, verify(what, path, artifact.sha256, digest))


def _read_reference(task: EvaluationTask, baseline: TaskBaseline, scratch: Path) -> Reference:
    """The baseline that lies in ``baseline.directory``, fetched first when that is a URI.

    Raises CheckpointMissing when it isn't there or can't be read, InvalidTask when nothing can be compared with it.
    """
    place = baseline.directory or ""
    source = TaskArtifact(uri=place) if "://" in place else TaskArtifact(path=place)
    directory, _ = locate("baseline", source, scratch / "baseline", room_left(task.limits.scratch_bytes, scratch))
    result = _read_result(baseline.name, directory / RESULT_FILE)
    if result.suite != task.suite.name:
        raise _invalid(
            f"baseline: {baseline.name} is of the suite {result.suite}, this run of {task.suite.name}: name a run of the same suite."
        )
    if not result.complete:
        raise _invalid(
            f"baseline: {baseline.name} ended with {result.reason} after {result.samples_done} of "
            f"{result.samples_total or 'its'} samples: name a run that was completed."
        )
    files = SampleFiles.of(directory)
    try:
        values = SampleValues.of_lines(read_lines(files.samples).values())
    except FileNotFoundError:
        values = SampleValues()
    except OSError as error:
        raise EvaluationError(Reason.CHECKPOINT_MISSING, f"baseline: {unreadable(files.samples, error)}") from error
    metrics = {metric.name: metric for metric in result.metrics}
    reference = Reference(baseline.name, metrics, values, read_identity(files))
    if task.gate is not None and task.gate.metric is not None:
        _refuse_undecidable(task.gate.metric, reference)
    return reference


def check_comparable(own: Identity | None, reference: Reference) -> None:
    """Refuse a baseline whose samples are other samples under the same ids: another seed, other data. Raises InvalidTask."""
    if own is None:
        return
    if reference.identity is None:
        raise _invalid(
            f"baseline: {reference.name} has no {IDENTITY_FILE}, so nothing says whether it was asked the same samples: "
            "evaluate it again with this version, or name its checkpoint as baseline.checkpoint."
        )
    asked, theirs = _asked(own), _asked(reference.identity)
    if asked != theirs:
        raise _invalid(
            f"baseline: {reference.name} was asked other samples, it differs in {difference(asked, theirs)}: "
            "compare runs of the same seed, data and settings."
        )


def deciding_metric(gate: Gate | None, metrics: list[str], values: SampleValues, where: str) -> str:
    """The metric that decides: the gate's, or the first that samples have values of, or the first.

    Raises InvalidTask, naming those that can decide, when the gate's can't.
    """
    able = [name for name in metrics if name in values.metrics] or metrics
    if gate is None or gate.metric is None:
        return able[0]
    if gate.metric not in metrics:
        raise _invalid(f"gate.metric: {where} has no metric {gate.metric}; it has {', '.join(metrics[:20]) or 'none'}.")
    return gate.metric


def _refuse_undecidable(metric: str, reference: Reference) -> None:
    """As early as it can be told: before the checkpoint is evaluated."""
    able = reference.values.metrics
    if metric not in reference.metrics or (able and metric not in able):
        raise _invalid(
            f"gate.metric: {reference.name} has no {metric} to compare with; those that can be compared: "
            f"{', '.join(able or reference.metrics) or 'none'}."
        )


def _asked(identity: Identity) -> Identity:
    parts = {name: value for name, value in identity.parts.items() if not name.startswith(AGENT_PART)}
    return identity.model_copy(update={"checkpoint_sha256": "", "parts": parts})


def _read_result(name: str, path: Path) -> EvaluationResult:
    try:
        return EvaluationResult.model_validate_json(path.read_bytes())
    except OSError as error:
        raise EvaluationError(Reason.CHECKPOINT_MISSING, f"baseline: {unreadable(path, error)}") from error
    except ValidationError as error:
        raise _invalid(f"baseline: {path} of {name} is no evaluation result: {describe(error)}.") from error


def _invalid(message: str) -> EvaluationError:
    return EvaluationError(Reason.INVALID_TASK, message)
