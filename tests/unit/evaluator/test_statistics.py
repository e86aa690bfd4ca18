"""Intervals against published numbers."""

import math

import numpy as np
import pytest

from hantei_evaluator.statistics.calibration import expected_calibration_error
from hantei_evaluator.statistics.intervals import (
    bootstrap_standard_error,
    proportion_standard_error,
    standard_error,
    wilson_interval,
)


def test_wilson_interval_is_the_published_one() -> None:
    # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    assert wilson_interval(81, 263) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))
    assert wilson_interval(0, 20) == (0.0, pytest.approx(0.1611, abs=5e-5))


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_what_is_no_proportion_is_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="no proportion"):
        wilson_interval(successes, n)


def test_standard_errors() -> None:
    assert standard_error(np.array([1.0, 2.0, 3.0])) == pytest.approx(1 / math.sqrt(3))
    assert standard_error(np.array([1.0])) is None
    assert proportion_standard_error(500, 1000) == pytest.approx(math.sqrt(0.25 / 1000), rel=1e-3)
    assert proportion_standard_error(20, 20) > 0


def test_bootstrap_is_seeded_and_near_the_formula() -> None:
    values = np.random.default_rng(1).normal(size=400)

    def mean(indices: np.ndarray) -> float:
        return float(values[indices].mean())

    first = bootstrap_standard_error(mean, 400, seed=3, resamples=500)
    assert first == bootstrap_standard_error(mean, 400, seed=3, resamples=500)
    assert first == pytest.approx(standard_error(values), rel=0.15)


def test_calibration_error_weighs_bins_by_their_samples() -> None:
    confidence = np.array([0.95, 0.95, 0.95, 0.55])
    correct = np.array([True, True, False, True])
    expected = (3 * abs(2 / 3 - 0.95) + 1 * abs(1 - 0.55)) / 4
    assert expected_calibration_error(confidence, correct, 10) == pytest.approx(expected)
