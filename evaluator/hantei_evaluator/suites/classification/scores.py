"""From predictions to metrics."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hantei_api.metrics import Metric
from hantei_evaluator.statistics.calibration import expected_calibration_error
from hantei_evaluator.statistics.intervals import bootstrap_standard_error, proportion_standard_error, standard_error

_NAME_CHARACTERS = 64
_BOOTSTRAP_SAMPLES = 20_000
"""Above this many the calibration error's bootstrap would cost seconds, and its standard error is tiny."""


def metrics_of(
    *,
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    confidence: NDArray[np.float64],
    cross_entropy: NDArray[np.float64],
    class_names: list[str],
    bins: int,
    seed: int,
) -> list[Metric]:
    """Accuracy, cross entropy and calibration, then each class's accuracy; all arrays are [n], n may be 0."""
    n = len(labels)
    if n == 0:
        return []
    correct = predicted == labels

    def calibration(indices: NDArray[np.intp]) -> float:
        return expected_calibration_error(confidence[indices], correct[indices], bins)

    calibration_stderr = bootstrap_standard_error(calibration, n, seed=seed) if 2 <= n <= _BOOTSTRAP_SAMPLES else None
    metrics = [
        _accuracy("accuracy", correct),
        Metric(name="cross_entropy", value=float(cross_entropy.mean()), stderr=standard_error(cross_entropy), n=n),
        Metric(name="ece", value=calibration(np.arange(n)), stderr=calibration_stderr, n=n),
    ]
    for label, name in enumerate(class_names):
        of_class = labels == label
        if of_class.any():
            metrics.append(_accuracy(_metric_name(name), correct[of_class]))
    return metrics


def class_names_of(names: Sequence[str] | None, classes: int) -> list[str]:
    """One distinct name a class that a metric's name can hold: the data's own, or else class numbers.

    Of the data alone: an evaluation that took over all its samples never asked the model.
    """
    if names is None or len({_metric_name(name) for name in names}) < len(names):
        names = ()
    return [*names, *(f"class_{label}" for label in range(len(names), classes))]


def _accuracy(name: str, correct: NDArray[np.bool_]) -> Metric:
    successes, n = int(correct.sum()), len(correct)
    return Metric(name=name, value=successes / n, stderr=proportion_standard_error(successes, n), n=n)


def _metric_name(class_name: str) -> str:
    return f"accuracy/{re.sub(r'[^A-Za-z0-9_.-]', '_', class_name)}"[:_NAME_CHARACTERS]
