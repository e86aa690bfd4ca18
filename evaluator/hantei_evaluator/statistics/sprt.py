"""A sequential probability ratio test on games: ends a match as soon as one of two strengths is clear.

The generalised test of X. Li, J. Liu and Z. Ying, "Generalized Sequential Probability Ratio Test for Separate Families of
Hypotheses", Sequential Analysis 33 (2014), 539-563, on multinomial counts of pair scores (pentanomial) or of games
(trinomial), as chess engine testing uses it: M. Van den Bergh, "The Generalized Maximum Likelihood Ratio for the
Expectation Value of a Distribution" (2019), the mathematics behind fishtest and fastchess.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hantei_evaluator.statistics.games import expected_score

NEVER_SEEN: Final = 1e-3
"""What a count of 0 is taken for: without a little mass on every score, the likelihood under the other hypothesis would be
0 after a few wins in a row. The number is fishtest's."""

_BISECTIONS: Final = 60
"""Halvings of an interval of width below 1 / 1e-4: beyond the precision of a double."""


class SprtDecision(StrEnum):
    """What the test says so far."""

    ACCEPT_H1 = "accept H1"
    ACCEPT_H0 = "accept H0"
    INCONCLUSIVE = "inconclusive"
    """The match ended, by a cap on games or time, before either was clear."""
    RUNNING = "running"


@dataclass(frozen=True)
class SprtState:
    """The test after some games."""

    decision: SprtDecision
    log_likelihood_ratio: float
    """Natural logarithm of the likelihood of H1 over that of H0."""
    lower: float
    upper: float


@dataclass(frozen=True)
class SequentialTest:
    """H0: the Elo difference is ``elo0``, against H1: it is ``elo1``, in logistic Elo points.

    ``alpha`` is the chance to accept H1 under H0, ``beta`` the chance to accept H0 under H1; both hold up to the overshoot
    of the last pair. An estimate from a match that such a test ended is biased away from the middle: a rating comes from
    matches of a fixed number of games. Raises ValueError when elo0 is not less than elo1, or alpha or beta lies outside
    (0, 0.5].
    """

    elo0: float
    elo1: float
    alpha: float = 0.05
    beta: float = 0.05

    def __post_init__(self) -> None:
        if not self.elo0 < self.elo1:
            raise ValueError(f"elo0 ({self.elo0:g}) must be less than elo1 ({self.elo1:g})")
        if not (0 < self.alpha <= 0.5 and 0 < self.beta <= 0.5):
            raise ValueError(f"alpha ({self.alpha:g}) and beta ({self.beta:g}) must lie in (0, 0.5]")

    def bounds(self) -> tuple[float, float]:
        """Log-likelihood ratios at or below which H0 and at or above which H1 is accepted.

        A. Wald, "Sequential Tests of Statistical Hypotheses", Ann. Math. Statist. 16 (1945), 117-186, section 3.4:
        ln(beta / (1 - alpha)) and ln((1 - beta) / alpha).
        """
        return math.log(self.beta / (1 - self.alpha)), math.log((1 - self.beta) / self.alpha)

    def state(self, counts: NDArray[np.int64], *, ended: bool = False) -> SprtState:
        """The decision after ``counts``: [5] of pair scores or [3] of losses, draws and wins.

        ``ended`` says that no more games come: what was not clear by then is inconclusive.
        """
        lower, upper = self.bounds()
        ratio = float(log_likelihood_ratio(counts, self.elo0, self.elo1)) if counts.sum() else 0.0
        if ratio >= upper:
            decision = SprtDecision.ACCEPT_H1
        elif ratio <= lower:
            decision = SprtDecision.ACCEPT_H0
        else:
            decision = SprtDecision.INCONCLUSIVE if ended else SprtDecision.RUNNING
        return SprtState(decision, ratio, lower, upper)


def log_likelihood_ratio(counts: NDArray[np.int64], elo0: float, elo1: float) -> NDArray[np.float64]:
    """Generalised log-likelihood ratio of mean score s(elo1) over s(elo0), for ``counts`` [..., k]; the result is [...].

    The k categories score 0, 1/(k-1), ..., 1: with k = 5 the mean score of a pair of games, with k = 3 that of a game. Each
    likelihood is the largest of all distributions on these scores with that mean.
    """
    observed = np.where(counts > 0, counts, NEVER_SEEN).astype(np.float64)
    return _log_likelihood(observed, expected_score(elo1)) - _log_likelihood(observed, expected_score(elo0))


def _log_likelihood(counts: NDArray[np.float64], mean: float) -> NDArray[np.float64]:
    """Largest log-likelihood of ``counts`` [..., k] under a mean score, less that without a constraint.

    With observed shares q the constrained maximum is p = q / (1 + t (a - mean)), where t is the root of
    sum of q (a - mean) / (1 + t (a - mean)), which falls in t (Van den Bergh, proposition 1.1; A. B. Owen, "Empirical Likelihood
    Ratio Confidence Intervals for a Single Functional", Biometrika 75 (1988), 237-249).
    """
    deviation = np.linspace(0.0, 1.0, counts.shape[-1]) - mean
    low = np.full(counts.shape[:-1], -1.0 / deviation[-1])
    high = np.full(counts.shape[:-1], -1.0 / deviation[0])
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        slope = (counts * deviation / (1 + middle[..., None] * deviation)).sum(axis=-1)
        low = np.where(slope > 0, middle, low)
        high = np.where(slope > 0, high, middle)
    # The sum is flat at the root, so what is left of the interval does not show in the result.
    tilt = ((low + high) / 2)[..., None] * deviation
    likelihood: NDArray[np.float64] = -(counts * np.log1p(tilt)).sum(axis=-1)
    return likelihood
