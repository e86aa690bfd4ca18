"""Pairs of games and the sequential test against published numbers."""

import math

import numpy as np
import pytest

from hantei_evaluator.statistics.games import elo_difference, expected_score, paired_score
from hantei_evaluator.statistics.pentanomial import NORMALIZED_ELO, game_counts, pair_counts, strength
from hantei_evaluator.statistics.sprt import SequentialTest, SprtDecision, log_likelihood_ratio

FISHTEST = (13, 37, 50, 25, 3)
"""A match of fishtest's, whose page of raw statistics prints five digits:
montytest.muzhen.org/tests/stats/69d3c8dc7c5b3724e29d2712 (official-stockfish/fishtest, server/fishtest/stats)."""


def test_pentanomial_statistics_are_those_that_fishtest_published() -> None:
    found = strength(np.array(FISHTEST))
    assert found.n == 128
    assert found.score == pytest.approx(0.43750, abs=5e-6)
    assert found.stderr**2 * found.n == pytest.approx(0.05762, abs=5e-6)
    assert found.elo == pytest.approx(-43.6578, abs=5e-5)
    assert found.normalized_elo == pytest.approx(-63.97, abs=5e-3)


def test_sprt_is_the_one_that_fishtest_published() -> None:
    # Its hypotheses are 0 and 4 points of normalized Elo: scores of 0.50000 and 0.50391, and 2.716 points of logistic Elo.
    deviation = math.sqrt(2 * 0.0576171875)
    hypothesis = elo_difference(0.5 + 4 / NORMALIZED_ELO * deviation, None)
    assert hypothesis is not None
    assert hypothesis[0] == pytest.approx(2.716, abs=5e-4)
    assert float(log_likelihood_ratio(np.array(FISHTEST), 0, hypothesis[0])) == pytest.approx(-0.53772, abs=5e-6)
    state = SequentialTest(elo0=0, elo1=hypothesis[0]).state(np.array(FISHTEST))
    assert (state.lower, state.upper) == (pytest.approx(-2.9444, abs=5e-5), pytest.approx(2.9444, abs=5e-5))
    assert state.decision is SprtDecision.RUNNING


@pytest.mark.parametrize(
    ("counts", "elo0", "elo1", "published"),
    [
        ((223, 9863, 21279, 10037, 246), 0.5, 2.5, -3.07),
        ((871, 26175, 55983, 26678, 821), 0, 2, -4.98),
        ((21184, 40708, 21404), 0.5, 2.5, -1.57),
        ((57030, 106593, 57433), 0, 2, -2.59),
    ],
)
def test_sprt_is_the_one_that_fastchess_published(
    counts: tuple[int, ...], elo0: float, elo1: float, published: float
) -> None:
    # Disservin/fastchess, app/tests/sprt_test.cpp: logistic pentanomial 1 and 2, logistic trinomial 1 and 2.
    assert float(log_likelihood_ratio(np.array(counts), elo0, elo1)) == pytest.approx(published, abs=5e-3)


@pytest.mark.parametrize(
    ("counts", "elo", "error", "normalized", "superiority"),
    [
        ((34, 54, 63, 64, 75), 55.58, 27.65, 57.94, 1.0000),
        ((332, 433, 498, 333, 334), -8.64, 10.33, -9.17, 0.0505),
        ((7895, 8757, 5685, 568, 9999), -21.04, 2.95, -19.01, 0.0),
        ((96, 111, 136), 40.70, 30.43, 49.77, 0.9960),
    ],
)
def test_elo_of_pairs_and_games_is_the_one_that_fastchess_published(
    counts: tuple[int, ...], elo: float, error: float, normalized: float, superiority: float
) -> None:
    # Disservin/fastchess, app/tests/elo_test.cpp: EloPentanomial 1 to 3, EloWDL 2.
    found = strength(np.array(counts))
    assert found.elo_low is not None
    assert found.elo_high is not None
    assert found.elo == pytest.approx(elo, abs=5e-3)
    assert (found.elo_high - found.elo_low) / 2 == pytest.approx(error, abs=5e-3)
    assert found.normalized_elo == pytest.approx(normalized, abs=5e-3)
    assert found.likelihood_of_superiority == pytest.approx(superiority, abs=5e-5)


@pytest.mark.parametrize(("alpha", "beta"), [(0.05, 0.05), (0.02, 0.10)])
def test_sprt_bounds_are_walds(alpha: float, beta: float) -> None:
    lower, upper = SequentialTest(0, 5, alpha, beta).bounds()
    assert math.exp(upper) == pytest.approx((1 - beta) / alpha)
    assert math.exp(lower) == pytest.approx(beta / (1 - alpha))


def test_log_likelihood_ratio_of_two_scores_is_the_binomial_one() -> None:
    # With wins and losses alone the mean fixes the distribution: Wald's own ratio, draws being none.
    win0, win1 = expected_score(0), expected_score(30)
    direct = 60 * math.log(win1 / win0) + 40 * math.log((1 - win1) / (1 - win0))
    assert float(log_likelihood_ratio(np.array([40, 60]), 0, 30)) == pytest.approx(direct)


def test_log_likelihood_ratios_of_many_matches_are_computed_at_once() -> None:
    many = np.array([FISHTEST, FISHTEST[::-1]])
    ratios = log_likelihood_ratio(many, 0, 5)
    assert ratios.shape == (2,)
    assert ratios[1] == pytest.approx(float(log_likelihood_ratio(many[1], 0, 5)))


def test_sprt_says_which_hypothesis_it_accepts_and_when_it_can_say_neither() -> None:
    test = SequentialTest(elo0=0, elo1=50)
    even, strong = np.array([5, 10, 20, 10, 5]), np.array([2, 8, 30, 40, 30])
    assert test.state(strong).decision is SprtDecision.ACCEPT_H1
    assert test.state(strong[::-1]).decision is SprtDecision.ACCEPT_H0
    assert test.state(even).decision is SprtDecision.RUNNING
    assert test.state(even, ended=True).decision is SprtDecision.INCONCLUSIVE
    assert test.state(np.zeros(5, dtype=np.int64)).decision is SprtDecision.RUNNING


def test_wins_alone_end_the_test_and_a_first_pair_does_not() -> None:
    test = SequentialTest(elo0=0, elo1=50)
    assert test.state(np.array([0, 0, 0, 0, 1])).decision is SprtDecision.RUNNING
    state = test.state(np.array([0, 0, 0, 0, 40]))
    assert state.decision is SprtDecision.ACCEPT_H1
    assert math.isfinite(state.log_likelihood_ratio)


@pytest.mark.parametrize(("elo0", "elo1", "alpha"), [(5, 5, 0.05), (0, 5, 0), (0, 5, 0.6)])
def test_hypotheses_that_are_none_are_refused(elo0: float, elo1: float, alpha: float) -> None:
    with pytest.raises(ValueError, match="must"):
        SequentialTest(elo0, elo1, alpha=alpha)


def test_pairs_are_counted_by_their_score_and_half_pairs_left_out() -> None:
    found = pair_counts([1, 1, 1, 0.5, 0, 1, 0.5, 0, 0, 0, 1], ["a", "a", "b", "b", "c", "c", "d", "d", "e", "e", "f"])
    assert found.counts.tolist() == [1, 1, 1, 1, 1]
    assert found.incomplete == 1


@pytest.mark.parametrize(("scores", "message"), [([0.7, 1], "0, 0.5 or 1, not 0.7"), ([1, 1, 1], "3 games")])
def test_what_is_no_pair_of_games_is_refused(scores: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pair_counts(scores, [1] * len(scores))


def test_games_are_counted_as_losses_draws_and_wins() -> None:
    assert game_counts([0, 0.5, 1, 1, 0.5, 1]).tolist() == [1, 2, 3]


def test_a_clean_sweep_has_no_finite_elo() -> None:
    found = strength(np.array([0, 0, 0, 0, 8]))
    assert (found.score, found.elo, found.elo_low, found.normalized_elo) == (1.0, None, None, None)
    assert found.likelihood_of_superiority == 1.0
    with pytest.raises(ValueError, match="no complete pair"):
        strength(np.zeros(5, dtype=np.int64))


def test_elo_and_score_are_inverse() -> None:
    # A. E. Elo, "The Rating of Chessplayers" (1978): 200 points are a score of 0.7597.
    assert expected_score(200) == pytest.approx(0.7597, abs=5e-5)
    inverse = elo_difference(expected_score(-123.0), 0.01)
    assert inverse is not None
    assert inverse[0] == pytest.approx(-123.0)


def test_pairs_that_all_came_out_alike_still_have_an_error() -> None:
    assert paired_score(np.array([1.0, 0.0, 1.0, 0.0]), np.array([0, 0, 1, 1])) == (0.5, pytest.approx(0.167, abs=2e-3))
