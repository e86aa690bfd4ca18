"""What intervals and gates promise, against thousands of simulated evaluations (seconds of computing, no processes)."""

from collections.abc import Callable, Hashable

import numpy as np
import pytest

from hantei_api.gate import Gate
from hantei_api.reasons import Verdict
from hantei_evaluator.statistics.comparison import compare, estimate
from hantei_evaluator.statistics.gates import decide
from hantei_evaluator.statistics.intervals import bootstrap_mean_interval, mean_interval, wilson_interval
from hantei_evaluator.statistics.paired_proportions import paired_proportion_interval
from hantei_evaluator.statistics.pentanomial import pair_counts, strength
from hantei_evaluator.statistics.power import samples_for_mean, samples_for_paired_proportions
from hantei_evaluator.statistics.sprt import SequentialTest, SprtDecision, log_likelihood_ratio

Interval = Callable[[np.ndarray], tuple[float, float]]
RUNS = 2000


def share_covered(interval: Interval, draw: Callable[[], np.ndarray], truth: float) -> float:
    covered = [low <= truth <= high for low, high in (interval(draw()) for _ in range(RUNS))]
    return float(np.mean(covered))


@pytest.mark.parametrize(("p", "n"), [(0.5, 100), (0.9, 200), (0.97, 300)])
def test_wilson_covers(p: float, n: int) -> None:
    rng = np.random.default_rng(1)
    assert 0.93 <= share_covered(lambda x: wilson_interval(int(x.sum()), n), lambda: rng.random(n) < p, p) <= 0.97


@pytest.mark.parametrize("n", [5, 30])
def test_students_interval_covers(n: int) -> None:
    rng = np.random.default_rng(2)
    assert 0.93 <= share_covered(mean_interval, lambda: rng.normal(3.0, 2.0, n), 3.0) <= 0.97


@pytest.mark.parametrize("n", [20, 100])
def test_bootstrap_covers(n: int) -> None:
    rng = np.random.default_rng(3)
    interval = lambda x: bootstrap_mean_interval(x, seed=int(abs(x[0]) * 1e6), resamples=1000)  # noqa: E731
    assert 0.93 <= share_covered(interval, lambda: rng.normal(0.02, 0.1, n), 0.02) <= 0.97
    # Lopsided, as differences of losses are: gamma of shape 4, skewness 1.
    assert 0.93 <= share_covered(interval, lambda: rng.gamma(4.0, 1.0, n), 4.0) <= 0.97


def test_bootstrap_covers_where_most_values_are_equal() -> None:
    # Differences of returns with a cap: nine in ten are 0.
    rng = np.random.default_rng(11)
    interval = lambda x: bootstrap_mean_interval(x, seed=1, resamples=1000)  # noqa: E731
    differs = [0.9, 0.05, 0.03, 0.02]
    assert 0.93 <= share_covered(interval, lambda: rng.choice([0.0, -0.5, 0.5, 1.0], 200, p=differs), 0.01) <= 0.97


@pytest.mark.parametrize(("gained", "lost"), [(0.10, 0.10), (0.05, 0.10), (0.20, 0.30)])
def test_paired_proportions_cover(gained: float, lost: float) -> None:
    rng = np.random.default_rng(4)

    def interval(counts: np.ndarray) -> tuple[float, float]:
        return paired_proportion_interval(int(counts[0]), int(counts[1]), 300)[:2]

    draw = lambda: rng.multinomial(300, [gained, lost, 1 - gained - lost])  # noqa: E731
    assert 0.93 <= share_covered(interval, draw, gained - lost) <= 0.97


def paired_games(rng: np.random.Generator, pairs: int, mean: float, spread: float) -> np.ndarray:
    """Scores [2 pairs] of games: each opening favours Black by up to ``spread``, which the colours of its two games undo."""
    bias = rng.uniform(-spread, spread, pairs)
    chance = np.stack([mean + bias, mean - bias], axis=1)
    roll = rng.random((pairs, 2))
    return np.where(roll < chance - 0.1, 1.0, np.where(roll < chance + 0.1, 0.5, 0.0)).ravel()


def by_id(scores: np.ndarray) -> tuple[dict[str, float], dict[str, Hashable]]:
    names = [f"pair{i // 2:04}-{'bw'[i % 2]}" for i in range(scores.size)]
    return dict(zip(names, scores.tolist(), strict=True)), {name: name[:8] for name in names}


def test_intervals_over_pairs_cover() -> None:
    rng = np.random.default_rng(5)

    def interval(scores: np.ndarray) -> tuple[float, float]:
        found = estimate(*by_id(scores))
        assert found.low is not None
        assert found.high is not None
        return found.low, found.high

    assert 0.93 <= share_covered(interval, lambda: paired_games(rng, 40, 0.6, 0.3), 0.6) <= 0.97


def test_elo_intervals_from_pairs_cover() -> None:
    rng = np.random.default_rng(6)

    def interval(scores: np.ndarray) -> tuple[float, float]:
        found = strength(pair_counts(scores.tolist(), (np.arange(scores.size) // 2).tolist()).counts)
        assert found.elo_low is not None
        assert found.elo_high is not None
        return found.elo_low, found.elo_high

    truth = 400 * np.log10(0.6 / 0.4)
    assert 0.93 <= share_covered(interval, lambda: paired_games(rng, 100, 0.6, 0.3), truth) <= 0.97


@pytest.mark.parametrize("power", [0.8, 0.9])
def test_five_point_drops_of_accuracy_are_called_regressed_as_often_as_the_power_says(power: float) -> None:
    # The baseline is right on 85 % of the samples, the checkpoint on 80 %; they differ on 15 %.
    n = samples_for_paired_proportions(0.15, 0.05, power=power)
    rng = np.random.default_rng(7)
    gate = Gate(max_drop=0.05, power=power)
    called = 0
    for _ in range(1000):
        kind = rng.choice(
            4, n, p=[0.75, 0.10, 0.05, 0.10]
        )  # both right, only the baseline, only the checkpoint, neither
        mine = {f"s{i}": float(right) for i, right in enumerate((kind == 0) | (kind == 2))}
        theirs = {f"s{i}": float(right) for i, right in enumerate(kind <= 1)}
        called += decide("accuracy", estimate(mine), compare(mine, theirs), gate).verdict is Verdict.REGRESSED
    assert called / 1000 == pytest.approx(power, abs=0.03)


@pytest.mark.parametrize("power", [0.8, 0.9])
def test_five_point_drops_of_a_score_over_pairs_are_called_regressed_as_often_as_the_power_says(power: float) -> None:
    # Both checkpoints play the same openings against the same opponent: score 0.60 and 0.55.
    rng = np.random.default_rng(8)
    many = paired_games(rng, 200_000, 0.55, 0.3) - paired_games(rng, 200_000, 0.60, 0.3)
    n = samples_for_mean(float(many.reshape(-1, 2).mean(axis=1).std()), 0.05, power=power)
    gate = Gate(max_drop=0.05, power=power)
    called = 0
    for _ in range(1000):
        mine, pairs = by_id(paired_games(rng, n, 0.55, 0.3))
        theirs, _ = by_id(paired_games(rng, n, 0.60, 0.3))
        called += (
            decide("score", estimate(mine, pairs), compare(mine, theirs, pairs), gate).verdict is Verdict.REGRESSED
        )
    assert called / 1000 == pytest.approx(power, abs=0.03)


def test_a_checkpoint_as_good_as_its_baseline_is_seldom_called_regressed() -> None:
    # The other tail of a 95 % interval: 2.5 %.
    rng = np.random.default_rng(9)
    called = 0
    for _ in range(1000):
        kind = rng.choice(4, 400, p=[0.75, 0.075, 0.075, 0.10])
        mine = {f"s{i}": float(right) for i, right in enumerate((kind == 0) | (kind == 2))}
        theirs = {f"s{i}": float(right) for i, right in enumerate(kind <= 1)}
        called += decide("accuracy", estimate(mine), compare(mine, theirs)).verdict is Verdict.REGRESSED
    assert called / 1000 <= 0.04


@pytest.mark.parametrize(("mean_elo", "right"), [(0.0, SprtDecision.ACCEPT_H0), (50.0, SprtDecision.ACCEPT_H1)])
def test_sprt_errs_no_more_often_than_it_says(mean_elo: float, right: SprtDecision) -> None:
    # All matches advance together; a decision stands from the first pair at which it was made.
    test = SequentialTest(elo0=0, elo1=50, alpha=0.05, beta=0.05)
    lower, upper = test.bounds()
    rng = np.random.default_rng(10)
    matches, pairs = 1000, 1500
    mean = 1 / (1 + 10 ** (-mean_elo / 400))
    scores = np.stack([paired_games(rng, pairs, mean, 0.2).reshape(pairs, 2).sum(axis=1) * 2 for _ in range(matches)])
    counts = np.zeros((matches, 5), dtype=np.int64)
    decided = np.zeros(matches)
    for pair in range(pairs):
        running = np.flatnonzero(decided == 0)
        if running.size == 0:
            break
        counts[running, scores[running, pair].astype(np.int64)] += 1
        ratio = log_likelihood_ratio(counts[running], test.elo0, test.elo1)
        decided[running] = np.where(ratio >= upper, 1, np.where(ratio <= lower, -1, 0))
    sign = 1 if right is SprtDecision.ACCEPT_H1 else -1
    assert (decided == 0).mean() < 0.01
    assert (decided == -sign).mean() <= 0.05 + 0.015
    assert test.state(counts[decided == sign][0]).decision is right
