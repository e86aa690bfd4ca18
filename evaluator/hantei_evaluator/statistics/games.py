"""Scores of games that were played in pairs, and what they say about playing strength."""

import math

import numpy as np
from numpy.typing import NDArray

from hantei_evaluator.statistics.intervals import clustered_mean, proportion_standard_error


def paired_score(scores: NDArray[np.float64], pairs: NDArray[np.int64]) -> tuple[float, float | None]:
    """Mean of ``scores`` [n] in [0, 1] and its standard error, games of a pair being dependent.

    With complete pairs this is the standard error of the mean over pairs, and a pair of which one game is missing still
    counts. Where all pairs scored the same, the sample shows no spread; the error is then that of a proportion at 0 of C,
    not 0. None for a single pair.
    """
    mean, error, clusters = clustered_mean(scores, pairs)
    return mean, proportion_standard_error(0, clusters) if error == 0 else error


def expected_score(elo: float) -> float:
    """Mean score in (0, 1) that a difference of ``elo`` points stands for.

    A. E. Elo, "The Rating of Chessplayers" (1978): score = 1 / (1 + 10^(-difference / 400)).
    """
    return 1 / (1 + 10 ** (-elo / 400))


def elo_difference(score: float, stderr: float | None) -> tuple[float, float | None] | None:
    """Elo points that a mean score in [0, 1] stands for, with its error by the delta method; None at 0 and 1.

    The inverse of ``expected_score``.
    """
    if not 0 < score < 1:
        return None
    difference = 400 * math.log10(score / (1 - score))
    slope = 400 / math.log(10) / (score * (1 - score))
    return difference, None if stderr is None else slope * stderr
