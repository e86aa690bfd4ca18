"""Evaluations by the shogi suite itself, without the loop round it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hantei_api.task import EvaluationTask
from hantei_evaluator.suites.protocol import Context, Outcome
from hantei_evaluator.suites.shogi import ShogiSuite

OPPONENTS: list[dict[str, Any]] = [
    {"name": "chance", "type": "random"},
    {"name": "greedy", "type": "heuristic"},
    {"name": "old", "type": "checkpoint", "checkpoint": "keisei/checkpoint_ts10000.pth"},
]


def context(
    keisei: Path,
    record: Any,
    *,
    seed: int = 7,
    done: Mapping[str, Mapping[str, Any]] | None = None,
    output_root: Path | None = None,
    **shogi: Any,
) -> Context:
    """The context of a short evaluation of the later fixture checkpoint; ``record`` is recorder and stop."""
    task = {
        "checkpoint": {"path": "c.pth"},
        "seed": seed,
        "suite": {"shogi": {"maxMoves": 40, **shogi}},
        "outputRoot": None if output_root is None else str(output_root),
    }
    return Context(
        task=EvaluationTask.model_validate(task),
        checkpoint=keisei / "checkpoint_ts20000.pth",
        inputs=keisei.parent,
        scratch=Path("unused"),
        device=torch.device("cpu"),
        stop=record,
        recorder=record,
        done=done or {},
    )


def evaluate(where: Context) -> Outcome:
    """Load and evaluate."""
    suite = ShogiSuite()
    suite.load(where)
    return suite.evaluate(where)


def by_id(samples: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The samples by their ids, each of which is there once."""
    found = {sample["sampleId"]: sample for sample in samples}
    assert len(found) == len(samples)
    return found


def values(outcome: Outcome) -> dict[str, float]:
    """The metrics' values by name."""
    return {metric.name: metric.value for metric in outcome.metrics}
