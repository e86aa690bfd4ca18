"""What a report is about: the results and samples that evaluations left in their output directories."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hantei_api.reasons import Reason
from hantei_api.result import EvaluationResult
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.publish import RESULT_FILE
from hantei_evaluator.run.resume import BASELINE_PREFIX, SampleFiles, read_lines
from hantei_evaluator.run.task import describe

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """One evaluation's result and its samples by sampleId."""

    path: Path
    result: EvaluationResult
    samples: Mapping[str, Record]
    baseline: Mapping[str, Record]
    """The baseline's samples, as far as they are known."""


def load(path: Path, baseline: Path | None = None) -> Evaluation:
    """Read an output directory, or the result.json in one; ``baseline`` is the output directory of another evaluation.

    Raises
    ------
    EvaluationError
        CheckpointMissing when there is no result.json, InvalidTask when it is none of ours.
    """
    directory = path.parent if path.name == RESULT_FILE else path
    file = directory / RESULT_FILE
    try:
        result = EvaluationResult.model_validate_json(file.read_bytes())
    except OSError as error:
        raise EvaluationError(
            Reason.CHECKPOINT_MISSING,
            f"{path}: no result can be read: {error.strerror}. Name an output directory that holds {RESULT_FILE}.",
        ) from error
    except ValidationError as error:
        raise EvaluationError(
            Reason.INVALID_TASK, f"{file}: is no result of an evaluation: {describe(error)}. Name another directory."
        ) from error
    own = SampleFiles.of(directory, BASELINE_PREFIX) if baseline is None else SampleFiles.of(baseline)
    return Evaluation(directory, result, _samples(SampleFiles.of(directory)), _samples(own))


def _samples(files: SampleFiles) -> dict[str, Record]:
    """Without samples a report has its metrics still."""
    try:
        return {sample_id: json.loads(line) for sample_id, line in read_lines(files.samples).items()}
    except OSError:
        return {}
