"""Quantiles of the normal distribution and of Student's t."""

import math
from statistics import NormalDist
from typing import Final

_LARGE: Final = 200
"""Degrees of freedom from which the expansion is exact to 10 digits, and the finite sum only slower."""


def normal_quantile(probability: float) -> float:
    """The number that a standard normal variable stays below with this probability, which lies in (0, 1)."""
    return NormalDist().inv_cdf(probability)


def two_sided(confidence: float) -> float:
    """Half-width, in standard errors, of a normal interval that covers with this confidence: 1.96 for 0.95."""
    return normal_quantile(0.5 + confidence / 2)


def student_two_sided(confidence: float, degrees: int) -> float:
    """Half-width, in standard errors, of a t interval with so many degrees of freedom: 12.71 for 0.95 and 1.

    M. Abramowitz and I. A. Stegun, "Handbook of Mathematical Functions" (1964): the finite sums 26.7.3 and 26.7.4, solved by
    bisection, and above 200 degrees of freedom the expansion 26.7.5. Raises ValueError for less than 1 degree of freedom.
    """
    if degrees < 1:
        raise ValueError(f"a t interval needs at least 1 degree of freedom, not {degrees}")
    if degrees > _LARGE:
        return _expansion(two_sided(confidence), degrees)
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        angle = (low + high) / 2
        low, high = (angle, high) if _coverage(angle, degrees) < confidence else (low, angle)
    return math.tan((low + high) / 2) * math.sqrt(degrees)


def _coverage(angle: float, degrees: int) -> float:
    """P(|t| < sqrt(degrees) tan(angle))."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term = cosine if odd else 1.0
    total = term if degrees > 1 else 0.0
    for k in range(2 + odd, degrees - 1, 2):
        term *= (k - 1) / k * cosine * cosine
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def _expansion(z: float, degrees: int) -> float:
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / degrees**power for power, term in enumerate(terms))
