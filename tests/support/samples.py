"""Evaluations that leave samples, without a suite."""

import json
from pathlib import Path
from typing import Any

from hantei_api.task import EvaluationTask
from hantei_evaluator.run.progress import ProgressTracker
from hantei_evaluator.run.resume import Identity
from hantei_evaluator.run.samples import SampleWriter
from hantei_evaluator.run.store import SampleStore

IDENTITY = Identity(suite="shogi", checkpoint_sha256="a" * 64, seed=1, parts={"rules": "1", "openings": "x"})
OTHER = IDENTITY.model_copy(update={"checkpoint_sha256": "b" * 64})


def record(number: int, **more: Any) -> dict[str, Any]:
    return {"sampleId": f"game-{number}", "values": {"score": number / 10}, **more}


def store_in(directory: Path, attempt: int = 1, **more: Any) -> SampleStore:
    body = {
        "checkpoint": {"path": "a"},
        "suite": {"command": {"argv": ["true"]}},
        "run": {"attempt": attempt},
        "outputDirectory": str(directory),
    }
    return SampleStore(EvaluationTask.model_validate(body | more), SampleWriter(ProgressTracker()))


def evaluated(directory: Path, numbers: range, identity: Identity = IDENTITY, **more: Any) -> SampleStore:
    """An evaluation that was killed after those samples."""
    store = store_in(directory, **more)
    store.open(identity)
    for number in numbers:
        store.recorder.sample(record(number))
    return store


def ids(directory: Path) -> list[str]:
    return [json.loads(line)["sampleId"] for line in (directory / "samples.jsonl").read_text().splitlines()]
