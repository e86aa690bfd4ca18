"""Standard errors and confidence intervals of single estimates."""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


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
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
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
