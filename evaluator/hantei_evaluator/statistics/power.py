"""How small an effect so many samples show, and how many samples an effect takes.

All for the two-sided interval at ``confidence`` that a gate looks at: an effect is shown when that interval lies wholly on
one side of 0, and ``power`` is the chance of that. J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd
ed. (1988), chapter 2: the effect is (z at confidence + z at power) standard errors; the other tail is left out.
Sizes are samples, or pairs of games.
"""

import math
from typing import Final

from hantei_evaluator.statistics.games import expected_score
from hantei_evaluator.statistics.quantiles import normal_quantile, student_two_sided, two_sided

BALANCED: Final = 0.5
"""Standard deviation of a score that is 0 or 1 with equal chance: the widest that there is."""

_LARGE: Final = 100_000


def detectable(stderr: float, confidence: float = 0.95, power: float = 0.8) -> float:
    """The smallest effect that an estimate with this standard error shows with this power, in the estimate's unit."""
    return (two_sided(confidence) + normal_quantile(power)) * stderr


def detectable_mean(deviation: float, n: int, confidence: float = 0.95, power: float = 0.8) -> float:
    """The same for the mean of ``n`` values, or of paired differences, with this standard deviation and a t interval.

    The half-width is Student's, which matters below some 30 samples; inf for less than 2.
    """
    if n < 2:
        return math.inf
    return (student_two_sided(confidence, n - 1) + normal_quantile(power)) * deviation / math.sqrt(n)


def samples_for_mean(deviation: float, effect: float, confidence: float = 0.95, power: float = 0.8) -> int:
    """Samples after which a shift of a mean, or a mean paired difference, by ``effect`` shows."""
    _check_effect(effect)
    n = max(2, math.ceil((detectable(deviation, confidence, power) / effect) ** 2))
    # Student's quantile asks for a few more than the normal one, up to where the two are one.
    while n < _LARGE and detectable_mean(deviation, n, confidence, power) > effect:
        n += 1
    return n


def samples_for_proportion(proportion: float, effect: float, confidence: float = 0.95, power: float = 0.8) -> int:
    """Samples after which a proportion that lies ``effect`` below a fixed ``proportion`` shows.

    The score test's variance at the fixed value, the true value's for the power: J. L. Fleiss, B. Levin and M. C. Paik,
    "Statistical Methods for Rates and Proportions", 3rd ed. (2003), section 2.4.
    """
    _check_effect(effect)
    true = proportion - effect
    if not (0 < proportion < 1 and true >= 0):
        raise ValueError(f"a proportion of {proportion:g} cannot drop by {effect:g}")
    null = two_sided(confidence) * math.sqrt(proportion * (1 - proportion))
    return math.ceil(((null + normal_quantile(power) * math.sqrt(true * (1 - true))) / effect) ** 2)


def samples_for_paired_proportions(
    discordant: float, effect: float, confidence: float = 0.95, power: float = 0.8
) -> int:
    """Samples, each answered by both checkpoints, after which a drop of ``effect`` in a share of right answers shows.

    ``discordant`` is the share of samples that one of the two gets right and the other wrong; at least ``effect``.
    R. J. Connor, "Sample Size for Testing Differences in Proportions for the Paired-Sample Design", Biometrics 43 (1987),
    207-211, for McNemar's test.
    """
    _check_effect(effect)
    if not effect <= discordant <= 1:
        raise ValueError(
            f"with a share of {discordant:g} that differs, no drop of {effect:g} can be: it is at most that share"
        )
    null = two_sided(confidence) * math.sqrt(discordant)
    true = normal_quantile(power) * math.sqrt(discordant - effect * effect)
    return math.ceil(((null + true) / effect) ** 2)


def detectable_paired_proportions(discordant: float, n: int, confidence: float = 0.95, power: float = 0.8) -> float:
    """The smallest drop of a share of right answers that ``n`` paired samples show: Connor's formula, solved for the effect.

    A drop is never larger than the share that differs: where fewer than so many were seen to differ, the drop itself is
    taken for that share. At most 1.
    """
    z, z_power = two_sided(confidence), normal_quantile(power)
    a = n + z_power**2
    root = (z * math.sqrt(n) + math.sqrt(max(z * z * n - a * (z * z - z_power**2), 0.0))) / a
    effect = math.sqrt(discordant) * root
    return min(effect if effect < discordant else root**2, 1.0)


def pairs_for_elo(
    elo: float, confidence: float = 0.95, power: float = 0.8, *, pair_deviation: float = BALANCED / math.sqrt(2)
) -> int:
    """Pairs of games after which a difference of ``elo`` points shows against an equal opponent.

    ``pair_deviation`` is the standard deviation of a pair's mean score; the default is that of games without draws which do
    not depend on one another, and draws and pairs from unbalanced openings need fewer.
    """
    return samples_for_mean(pair_deviation, expected_score(abs(elo)) - 0.5, confidence, power)


def _check_effect(effect: float) -> None:
    if not effect > 0:
        raise ValueError(f"an effect of {effect:g} takes infinitely many samples: name one above 0")
