"""Comparisons of per-sample values with a baseline's."""

import numpy as np
import pytest

from hantei_evaluator.statistics.comparison import (
    BOOTSTRAP_SAMPLES,
    Unit,
    compare,
    compare_reported,
    estimate,
    reported,
)
from hantei_evaluator.statistics.intervals import wilson_interval
from hantei_evaluator.statistics.paired_proportions import mcnemar_mid_p, paired_proportion_interval, tango_interval


def by_id(values: np.ndarray | list[float], prefix: str = "s") -> dict[str, float]:
    return {f"{prefix}{i:05}": float(value) for i, value in enumerate(values)}


def test_score_interval_of_paired_proportions_is_the_published_one() -> None:
    # T. Tango's interval for 1 and 7 of 21 (airway hyper-responsiveness, Bentur et al. 2009): M. W. Fagerland, S. Lydersen
    # and P. Laake, Statistics in Medicine 33 (2014); also petelaud/ratesci, R/pairbinci.R.
    assert tango_interval(1, 7, 21) == (pytest.approx(-0.517, abs=5e-4), pytest.approx(-0.026, abs=5e-4))


def test_binomial_test_of_few_differences_is_the_published_one() -> None:
    # The same children: M. W. Fagerland, S. Lydersen and P. Laake, BMC Medical Research Methodology 13 (2013), 91: mid-p 0.0391.
    assert mcnemar_mid_p(1, 7) == pytest.approx(0.0391, abs=5e-5)
    assert mcnemar_mid_p(0, 0) == 1.0
    assert mcnemar_mid_p(4, 4) == 1.0


def test_score_interval_excludes_0_exactly_when_mcnemar_rejects() -> None:
    # McNemar's statistic (lost - gained)^2 / (lost + gained) against 3.841, the 95 % point of chi-square with 1 degree.
    for gained, lost in ((40, 59), (40, 60), (40, 61), (10, 21), (10, 22), (10, 23)):
        assert (tango_interval(gained, lost, 500)[1] < 0) == ((lost - gained) ** 2 / (lost + gained) > 3.841)


def test_score_interval_has_a_width_when_nothing_differs_and_stays_within_its_range() -> None:
    # At 0 of n the score equation gives z^2 / (n + z^2) in closed form.
    z2 = 1.959964**2
    assert tango_interval(0, 0, 50) == (pytest.approx(-z2 / (50 + z2)), pytest.approx(z2 / (50 + z2)))
    assert tango_interval(0, 5, 5)[0] == -1.0
    assert tango_interval(5, 0, 5)[1] == 1.0
    with pytest.raises(ValueError, match="cannot be"):
        tango_interval(4, 4, 7)


def test_a_handful_of_differences_calls_no_change_that_the_binomial_test_does_not_see() -> None:
    # 3 against 11: McNemar's statistic is 4.57, its p 0.033; the binomial's mid-p 0.035; and 0 against 4: 0.046 and 0.0625.
    assert paired_proportion_interval(3, 11, 100)[1] < 0
    assert tango_interval(0, 4, 100)[1] < 0
    assert paired_proportion_interval(0, 4, 100)[1] == 0.0
    assert paired_proportion_interval(4, 0, 100)[0] == 0.0


def test_right_answers_are_compared_sample_by_sample() -> None:
    mine, theirs = [1.0] * 80 + [0.0] * 15 + [1.0] * 5, [1.0] * 95 + [0.0] * 5
    found = compare(by_id(mine), by_id(theirs))
    assert (found.value, found.baseline_value) == (0.85, 0.95)
    assert found.difference == pytest.approx(-0.10)
    assert (found.low, found.high) == pytest.approx(paired_proportion_interval(5, 15, 100)[:2])
    assert found.discordant == 0.20
    assert found.method == "McNemar, score interval and binomial test"
    assert found.stderr == pytest.approx(np.sqrt(20 - 100 / 100) / 100, rel=0.05)


def test_only_shared_samples_count_and_the_others_are_counted() -> None:
    found = compare({"a": 1.0, "b": 0.0, "c": 1.0}, {"b": 1.0, "c": 1.0, "d": 0.0, "e": 0.0})
    assert (found.n, found.left_out) == (2, 3)
    assert (found.value, found.baseline_value) == (0.5, 1.0)


def test_no_shared_sample_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match="same suite, data and seed"):
        compare({"a": 1.0}, {"b": 1.0})


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_refused_by_name(bad: float) -> None:
    with pytest.raises(ValueError, match="sample b has the value"):
        compare({"a": 1.0, "b": bad}, {"a": 1.0, "b": 0.0})
    with pytest.raises(ValueError, match="no samples"):
        estimate({})


def test_other_numbers_are_compared_by_their_differences() -> None:
    rng = np.random.default_rng(1)
    hard = rng.normal(2.0, 1.0, 300)
    found = compare(by_id(hard + rng.normal(-0.02, 0.05, 300)), by_id(hard))
    assert found.method == "paired bootstrap"
    assert found.stderr == pytest.approx(0.05 / np.sqrt(300), rel=0.15)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.difference < found.high < 0


def test_the_order_of_samples_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    mine, theirs = by_id(rng.normal(size=50)), by_id(rng.normal(size=50))
    backwards = dict(reversed(mine.items()))
    assert compare(mine, theirs, seed=4) == compare(backwards, theirs, seed=4)


def test_many_samples_have_students_interval() -> None:
    values = np.random.default_rng(3).normal(size=BOOTSTRAP_SAMPLES + 1)
    assert compare(by_id(values), by_id(values[::-1])).method == "Student's t of the mean"
    assert estimate(by_id(values)).method == "Student's t of the mean"


def test_games_are_compared_by_their_pairs() -> None:
    # Each pair's two games move together: pairs are what is independent.
    rng = np.random.default_rng(4)
    mine = np.repeat(rng.choice([0.0, 1.0], 60, p=[0.5, 0.5]), 2)
    theirs = np.repeat(rng.choice([0.0, 1.0], 60, p=[0.4, 0.6]), 2)
    pairs = {name: i // 2 for i, name in enumerate(by_id(mine))}
    found = compare(by_id(mine), by_id(theirs), pairs)
    differences = (mine - theirs)[::2]
    assert (found.n, found.unit, found.method) == (60, Unit.PAIRS, "pentanomial pairs")
    assert found.stderr == pytest.approx(differences.std(ddof=1) / np.sqrt(60))
    assert found.discordant is None


def test_a_game_without_its_twin_stands_alone() -> None:
    mine = {"a": 1.0, "b": 0.0, "c": 1.0, "d": 0.5}
    found = compare(mine, dict.fromkeys(mine, 0.5), {"a": 1, "b": 1, "c": 2})
    assert found.n == 3
    assert found.difference == pytest.approx(0.125)


def test_pairs_that_do_not_differ_still_leave_room_for_a_difference() -> None:
    mine = by_id(np.tile([1.0, 0.0], 40))
    pairs = {name: i // 2 for i, name in enumerate(mine)}
    found = compare(mine, mine, pairs)
    assert found.difference == 0.0
    assert (found.low, found.high) == pytest.approx((-wilson_interval(0, 40)[1], wilson_interval(0, 40)[1]))
    assert found.stderr is not None
    assert found.stderr > 0


def test_one_pair_or_one_sample_has_no_interval() -> None:
    alone = compare({"a": 0.3}, {"a": 0.5})
    assert (alone.stderr, alone.low, alone.high) == (None, None, None)
    pair = compare({"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 0.0}, {"a": 1, "b": 1})
    assert (pair.n, pair.stderr, pair.low) == (1, None, None)
    assert pair.minimum_detectable(0.8) == float("inf")
    assert estimate({"a": 0.3}).low is None


def test_estimates_have_the_interval_of_their_kind() -> None:
    right = estimate(by_id([1.0] * 81 + [0.0] * 182))
    assert (right.method, right.low, right.high) == ("Wilson", *wilson_interval(81, 263))
    scores = by_id(np.random.default_rng(5).choice([0.0, 0.5, 1.0], 80))
    games = estimate(scores, {name: i // 2 for i, name in enumerate(scores)})
    assert (games.n, games.unit) == (40, Unit.PAIRS)
    assert estimate(by_id(np.random.default_rng(6).normal(size=50))).method == "bootstrap"


def test_scores_of_games_never_leave_0_to_1() -> None:
    scores = by_id([1.0] * 38 + [1.0, 0.0])
    found = estimate(scores, {name: i // 2 for i, name in enumerate(scores)})
    assert found.high == 1.0
    swept = estimate(by_id([1.0] * 40), {name: i // 2 for i, name in enumerate(scores)})
    assert (swept.high, swept.low) == (1.0, pytest.approx(wilson_interval(20, 20)[0]))


def test_metrics_without_samples_are_compared_as_independent() -> None:
    found = compare_reported(reported(0.70, 0.03, 500), reported(0.75, 0.04, 400))
    assert found.difference == pytest.approx(-0.05)
    assert found.stderr == pytest.approx(0.05)
    assert (found.low, found.high) == (pytest.approx(-0.05 - 1.959964 * 0.05), pytest.approx(-0.05 + 1.959964 * 0.05))
    assert found.n == 400
    assert compare_reported(reported(0.70, None, 500), reported(0.75, 0.04, 400)).low is None


def test_counts_are_named_in_words() -> None:
    assert Unit.SAMPLES.counted(40) == "40 samples"
    assert Unit.SAMPLES.counted(1) == "1 sample"
    assert Unit.PAIRS.counted(1) == "1 pair of games"
