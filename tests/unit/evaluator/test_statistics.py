"""Intervals against published numbers."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from hantei_evaluator.statistics.calibration import expected_calibration_error
from hantei_evaluator.statistics.intervals import (
    bootstrap_mean_interval,
    bootstrap_standard_error,
    clustered_mean,
    mean_interval,
    proportion_standard_error,
    standard_error,
    wilson_interval,
)
from hantei_evaluator.statistics.quantiles import student_two_sided


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_is_the_published_one(successes: int, n: int, low: float, high: float) -> None:
    # R. G. Newcombe, "Two-Sided Confidence Intervals for the Single Proportion", Statistics in Medicine 17 (1998), table I,
    # method 3.
    assert wilson_interval(successes, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(
    ("confidence", "degrees", "published"),
    [
        (0.95, 1, 12.706),
        (0.95, 2, 4.303),
        (0.95, 10, 2.228),
        (0.95, 30, 2.042),
        (0.95, 120, 1.980),
        (0.99, 5, 4.032),
        (0.99, 60, 2.660),
        (0.999, 7, 5.408),
    ],
)
def test_student_quantiles_are_the_published_ones(confidence: float, degrees: int, published: float) -> None:
    # M. Abramowitz and I. A. Stegun, "Handbook of Mathematical Functions" (1964), table 26.10.
    assert student_two_sided(confidence, degrees) == pytest.approx(published, abs=5e-4)


def test_student_quantiles_have_no_step_where_the_sum_ends_and_the_expansion_begins() -> None:
    assert student_two_sided(0.95, 200) - student_two_sided(0.95, 201) == pytest.approx(
        student_two_sided(0.95, 201) - student_two_sided(0.95, 202), rel=0.02
    )


def test_interval_of_a_mean_is_the_published_one() -> None:
    # Student's own data, the additional hours of sleep by one drug over the other: mean 1.58, s 1.23, n 10. Student, "The Probable Error of
    # a Mean", Biometrika 6 (1908), section IX; 2.262 is table 26.10's t with 9 degrees of freedom.
    hours = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    half = 2.262 * 1.23 / math.sqrt(10)
    low, high = mean_interval(hours)
    assert (low, high) == (pytest.approx(1.58 - half, abs=2e-3), pytest.approx(1.58 + half, abs=2e-3))


def test_bootstrap_interval_is_seeded_and_near_students_for_normal_values() -> None:
    values = np.random.default_rng(1).normal(size=60)
    stderr = standard_error(values)
    assert stderr is not None
    bootstrap = bootstrap_mean_interval(values, seed=3)
    assert bootstrap == bootstrap_mean_interval(values, seed=3)
    assert bootstrap == pytest.approx(mean_interval(values), abs=0.15 * stderr)


def test_bootstrap_interval_leans_to_where_the_values_reach_far() -> None:
    values = np.random.default_rng(2).exponential(size=60)
    low, high = bootstrap_mean_interval(values, seed=3)
    assert high - values.mean() > 1.03 * (values.mean() - low)


@pytest.mark.parametrize("interval", [mean_interval, lambda values: bootstrap_mean_interval(values, seed=1)])
def test_one_value_has_no_interval(interval: Callable[[np.ndarray], tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="at least 2 values, not 1"):
        interval(np.array([1.0]))


def test_a_few_lost_samples_among_equal_ones_do_not_make_a_drop_certain() -> None:
    differences = np.zeros(50)
    differences[:3] = -0.5
    low, high = bootstrap_mean_interval(differences, seed=1)
    assert low < -0.05
    assert high == 0.0


def test_equal_values_have_a_point_for_an_interval() -> None:
    assert bootstrap_mean_interval(np.full(9, 0.1), seed=1) == (pytest.approx(0.1), pytest.approx(0.1))


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_what_is_no_proportion_is_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="no proportion"):
        wilson_interval(successes, n)


def test_standard_errors() -> None:
    assert standard_error(np.array([1.0, 2.0, 3.0])) == pytest.approx(1 / math.sqrt(3))
    assert standard_error(np.array([1.0])) is None
    assert proportion_standard_error(500, 1000) == pytest.approx(math.sqrt(0.25 / 1000), rel=1e-3)
    assert proportion_standard_error(20, 20) > 0


def test_clustered_error_is_that_of_the_mean_over_clusters() -> None:
    values, clusters = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0]), np.array([0, 0, 1, 1, 2, 2, 3, 3])
    mean, error, count = clustered_mean(values, clusters)
    assert (mean, count) == (0.5, 4)
    assert error == pytest.approx(standard_error(np.array([0.5, 1.0, 0.0, 0.5])))
    assert clustered_mean(values, np.zeros(8))[1] is None
    assert clustered_mean(np.array([0.1, 0.3, 0.3, 0.1]), np.array([0, 0, 1, 1]))[1] == 0.0


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
