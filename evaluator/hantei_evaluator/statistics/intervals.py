"""Standard errors and confidence intervals of single estimates."""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hantei_evaluator.statistics.quantiles import student_two_sided, two_sided

FloatArray = NDArray[np.float64]

RESAMPLES: Final = 10_000
"""An interval's ends then vary from seed to seed by some 3 % of a standard error."""

_CHUNK: Final = 2_000_000
"""Numbers drawn at a time: 16 MB."""


def standard_error(values: FloatArray) -> float | None:
    """Standard error of the mean of independent ``values`` [n]: s / sqrt(n) with n - 1 degrees of freedom; None for n < 2."""
    if values.size < 2:
        return None
    return float(values.std(ddof=1) / math.sqrt(values.size))


def clustered_mean(values: FloatArray, clusters: NDArray[Any]) -> tuple[float, float | None, int]:
    """Mean of ``values`` [n], its standard error when values of one cluster depend on one another, and how many clusters.

    The cluster-robust error of a mean (K.-Y. Liang and S. L. Zeger, "Longitudinal Data Analysis Using Generalized Linear
    Models", Biometrika 73 (1986), 13-22) with the factor C / (C - 1). ``clusters`` [n] are labels. The error is None for
    a single cluster, and 0 where all clusters came out alike: then the sample shows no spread.
    """
    mean = float(values.mean())
    _, cluster = np.unique(clusters, return_inverse=True)
    residuals = np.bincount(cluster, weights=values - mean)
    count = residuals.size
    if count < 2:
        return mean, None, count
    variance = count / (count - 1) * float(np.square(residuals).sum()) / values.size**2
    # What is left of a sum of equal numbers is rounding, not spread.
    return mean, math.sqrt(variance) if variance > 1e-24 * max(1.0, mean * mean) else 0.0, count


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927), 209-212. Unlike
    p ± z·s it stays within [0, 1] and keeps its coverage at 0 and n successes. Raises ValueError when ``n`` is 0 or
    ``successes`` lies outside [0, n].
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} are no proportion")
    z = two_sided(confidence)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # At the ends the bound is 0 or 1 exactly; the formula leaves a rounding error.
    lower = 0.0 if successes == 0 else max(centre - half, 0.0)
    upper = 1.0 if successes == n else min(centre + half, 1.0)
    return lower, upper


def proportion_standard_error(successes: int, n: int) -> float:
    """Standard error of a proportion that is not 0 when all or none succeeded.

    Half the width of the 68.27 % Wilson interval: sqrt(p(1-p)/n) claims certainty at p = 0 and p = 1.
    """
    lower, upper = wilson_interval(successes, n, confidence=math.erf(1 / math.sqrt(2)))
    return (upper - lower) / 2


def bootstrap_standard_error(
    statistic: Callable[[NDArray[np.intp]], float], n: int, *, seed: int, resamples: int = 200
) -> float:
    """Standard error of ``statistic(indices)`` over ``n`` samples by resampling with replacement.

    B. Efron, "Bootstrap Methods: Another Look at the Jackknife", Ann. Statist. 7 (1979), 1-26. The same seed gives the
    same number.
    """
    generator = np.random.default_rng(seed)
    values = [statistic(generator.integers(0, n, n)) for _ in range(resamples)]
    return float(np.std(values, ddof=1))


def mean_interval(values: FloatArray, confidence: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean of independent ``values`` [n].

    Student, "The Probable Error of a Mean", Biometrika 6 (1908), 1-25. Raises ValueError for less than 2 values: one shows
    no spread.
    """
    stderr = standard_error(values)
    if stderr is None:
        raise ValueError(f"an interval of a mean needs at least 2 values, not {values.size}")
    half = student_two_sided(confidence, values.size - 1) * stderr
    return float(values.mean()) - half, float(values.mean()) + half


def bootstrap_mean_interval(
    values: FloatArray, confidence: float = 0.95, *, seed: int, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Bootstrap interval of the mean of independent ``values`` [n]: percentiles of the resampled means, expanded for small n.

    B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13. A resample spreads less than the
    sample by (n - 1) / n and its quantiles are normal rather than Student's; the tails are widened for both as in T. Hesterberg,
    "What Teachers Should Know About the Bootstrap", The American Statistician 69 (2015), 371-386, section 3.3. Not BCa: where most
    differences are 0, as between two good policies, its corrections take the lumps of the resampled means for skewness (of
    50 values of which 5 are not 0 it covers the mean in 81 %, this one in 90 %). The same seed gives the same interval.
    Values that are all equal give that value twice. Raises ValueError for less than 2 values.
    """
    n = values.size
    if n < 2:
        raise ValueError(f"an interval of a mean needs at least 2 values, not {n}")
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    generator = np.random.default_rng(seed)
    rows = max(1, _CHUNK // n)
    means = np.concatenate(
        [
            values[generator.integers(0, n, (min(rows, resamples - start), n))].mean(axis=1)
            for start in range(0, resamples, rows)
        ]
    )
    tail = NormalDist().cdf(-student_two_sided(confidence, n - 1) * math.sqrt(n / (n - 1)))
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)
