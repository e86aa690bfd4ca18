"""Two shares of right answers on the same samples."""

import math
from typing import Final

from hantei_evaluator.statistics.quantiles import two_sided

FEW: Final = 25
"""With fewer samples that differ, the score interval's tail is only roughly right and the binomial test has a say too."""


def tango_interval(gained: int, lost: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of the difference of two paired proportions, (gained - lost) / n.

    ``gained`` samples succeeded only the first time, ``lost`` only the second, of ``n``. T. Tango, "Equivalence Test and
    Confidence Interval for the Difference in Proportions for the Paired-Sample Design", Statistics in Medicine 17 (1998),
    891-908, by bisection; M. W. Fagerland, S. Lydersen and P. Laake, "Recommended Tests and Confidence Intervals for Paired
    Binomial Proportions", Statistics in Medicine 33 (2014), 2850-2875, recommend it for every n. It excludes 0 exactly when McNemar's
    test without continuity correction rejects, and has a width even when nothing differs. Raises ValueError for counts
    that cannot be.
    """
    if n < 1 or gained < 0 or lost < 0 or gained + lost > n:
        raise ValueError(f"{gained} gained and {lost} lost of {n} samples cannot be")
    z = two_sided(confidence)
    estimate = (gained - lost) / n
    low = -1.0 if estimate == -1 else _solve(gained, lost, n, z, -1.0, estimate)
    high = 1.0 if estimate == 1 else _solve(gained, lost, n, -z, estimate, 1.0)
    return low, high


def mcnemar_mid_p(gained: int, lost: int) -> float:
    """Two-sided p-value of no difference, by the exact binomial distribution of the samples that differ, at most 1.

    Twice a tail, less the probability of what was seen: M. W. Fagerland, S. Lydersen and P. Laake, "The McNemar Test for Binary
    Matched-Pairs Data: Mid-p and Asymptotic Are Better Than Exact Conditional", BMC Medical Research Methodology 13 (2013), 91.
    """
    differ, fewer = gained + lost, min(gained, lost)
    seen = math.comb(differ, fewer)
    tail = sum(math.comb(differ, k) for k in range(fewer + 1))
    return min(1.0, (2 * tail - seen) / math.ldexp(1.0, differ))


def paired_proportion_interval(gained: int, lost: int, n: int, confidence: float = 0.95) -> tuple[float, float, str]:
    """Interval of (gained - lost) / n, and the name of how it was computed.

    Tango's; where fewer than ``FEW`` samples differ, it is widened to include 0 unless the binomial test rejects as well, so
    that a handful of samples does not call a change more often than the confidence allows.
    """
    low, high = tango_interval(gained, lost, n, confidence)
    if gained + lost >= FEW:
        return low, high, "McNemar, score interval"
    if mcnemar_mid_p(gained, lost) > 1 - confidence:
        low, high = min(low, 0.0), max(high, 0.0)
    return low, high, "McNemar, score interval and binomial test"


def _solve(gained: int, lost: int, n: int, target: float, low: float, high: float) -> float:
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _score(gained, lost, n, middle) > target else (low, middle)
    return (low + high) / 2


def _score(gained: int, lost: int, n: int, difference: float) -> float:
    """Tango's T; falls in ``difference``."""
    b = (2 * n - gained + lost) * difference - gained - lost
    c = -lost * difference * (1 - difference)
    lost_share = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * lost_share + difference * (1 - difference))
    distance = gained - lost - n * difference
    return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)
