"""From episodes to samples and metrics."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hantei_api.metrics import Metric
from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.statistics.intervals import proportion_standard_error, standard_error
from hantei_evaluator.statistics.quantiles import student_two_sided
from hantei_evaluator.suites.gymnasium.episodes import Episode


def sample_id(index: int) -> str:
    """The episode's name: the same in every evaluation."""
    return f"episode-{index:05d}"


def record_of(episode: Episode) -> dict[str, Any]:
    """The episode as a sample; raises MetricsUnavailable for a return that is no number."""
    if not np.isfinite(episode.total_reward):
        raise EvaluationError(
            Reason.METRICS_UNAVAILABLE,
            f"{sample_id(episode.index)} returned {episode.total_reward}: look at the environment's rewards.",
        )
    values = {"mean_return": episode.total_reward, "mean_length": float(episode.length)}
    if episode.success is not None:
        values["success_rate"] = float(episode.success)
    return {
        "sampleId": sample_id(episode.index),
        "return": episode.total_reward,
        "length": episode.length,
        "terminated": episode.terminated,
        "truncated": episode.truncated,
        "values": values,
    }


def metrics_of(records: Sequence[Mapping[str, Any]]) -> list[Metric]:
    """Mean return first, then the success rate, where the environment tells it, and the mean length.

    ``mean_return/ci95_low`` and ``ci95_high`` are the ends of its 95 % t interval (W. S. Gosset, "The Probable Error of a
    Mean", Biometrika 6 (1908), 1-25).
    """
    if not records:
        return []
    # In the episodes' order: a sum of floats depends on its order, and a resumed evaluation has another one.
    records = sorted(records, key=lambda record: str(record["sampleId"]))
    returns = np.array([record["return"] for record in records], dtype=np.float64)
    lengths = np.array([record["length"] for record in records], dtype=np.float64)
    successes = [record["values"]["success_rate"] for record in records if "success_rate" in record["values"]]
    n = len(records)
    mean, stderr = float(returns.mean()), standard_error(returns)
    metrics = [Metric(name="mean_return", value=mean, stderr=stderr, n=n)]
    if successes:
        known = len(successes)
        successful = int(sum(successes))
        error = proportion_standard_error(successful, known)
        metrics.append(Metric(name="success_rate", value=successful / known, stderr=error, n=known))
    metrics.append(Metric(name="mean_length", value=float(lengths.mean()), stderr=standard_error(lengths), n=n))
    if stderr is not None:
        half_width = stderr * student_two_sided(0.95, n - 1)
        metrics.append(Metric(name="mean_return/ci95_low", value=mean - half_width, n=n))
        metrics.append(Metric(name="mean_return/ci95_high", value=mean + half_width, n=n))
    return metrics
