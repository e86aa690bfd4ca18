"""Sample sizes: published ones, each other's inverse, and those that docs/statistics.md prints."""

import math
import re
from pathlib import Path

import pytest

from hantei_evaluator.statistics.power import (
    detectable,
    detectable_mean,
    detectable_paired_proportions,
    pairs_for_elo,
    samples_for_mean,
    samples_for_paired_proportions,
    samples_for_proportion,
)

PAGE = Path(__file__).parents[3] / "docs" / "statistics.md"


@pytest.mark.parametrize(
    ("discordant", "effect", "power", "published"), [(0.50, 0.40, 0.8, 23), (0.45, 0.15, 0.8, 155)]
)
def test_paired_sample_sizes_are_the_published_ones(
    discordant: float, effect: float, power: float, published: int
) -> None:
    # Connor (1987), p. 209, as powerandsamplesize.com and clinicaltrials-tools.vercel.app (mcnemar-test) compute it.
    assert samples_for_paired_proportions(discordant, effect, 0.95, power) == published


def test_sample_size_of_a_mean_is_the_published_one() -> None:
    # A paired t test of a shift of half a standard deviation, two-sided 0.05, power 0.80: 33.37 pairs, so 34 (R's
    # pwr.t.test(d = 0.5, power = 0.8, type = "paired"), by Cohen's tables; the same in G*Power).
    assert samples_for_mean(1.0, 0.5) == 34


def test_detectable_effect_is_2_8_standard_errors() -> None:
    assert detectable(1.0) == pytest.approx(1.95996 + 0.84162, abs=1e-4)
    assert detectable_mean(1.0, 10**6) == pytest.approx(detectable(1e-3), rel=1e-4)
    assert detectable_mean(1.0, 5) > detectable(1 / math.sqrt(5))
    assert detectable_mean(1.0, 1) == math.inf


@pytest.mark.parametrize("effect", [0.01, 0.05, 0.2])
def test_sample_sizes_show_what_they_were_asked_for_and_one_less_does_not(effect: float) -> None:
    n = samples_for_mean(0.4, effect)
    assert detectable_mean(0.4, n) <= effect < detectable_mean(0.4, n - 1)
    n = samples_for_paired_proportions(0.25, effect)
    assert detectable_paired_proportions(0.25, n) <= effect < detectable_paired_proportions(0.25, n - 1)


def test_where_nothing_differed_only_a_drop_that_would_have_shown_is_excluded() -> None:
    # A drop of 15 % among 50 would have changed 7.5 samples; the least that McNemar's test sees with power 0.8.
    assert detectable_paired_proportions(0.0, 50) == pytest.approx(0.15, abs=0.005)
    assert detectable_paired_proportions(0.0, 2) == 1.0


def test_sharper_requirements_take_more_samples() -> None:
    assert samples_for_proportion(0.9, 0.05) > samples_for_proportion(0.9, 0.10)
    assert samples_for_proportion(0.9, 0.05, power=0.9) > samples_for_proportion(0.9, 0.05)
    assert pairs_for_elo(10) > 4 * pairs_for_elo(20) * 0.98
    assert pairs_for_elo(-20) == pairs_for_elo(20)
    assert pairs_for_elo(20, pair_deviation=0.25) < pairs_for_elo(20)


def test_effects_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        samples_for_mean(1.0, 0.0)
    with pytest.raises(ValueError, match="at most that share"):
        samples_for_paired_proportions(0.04, 0.05)
    with pytest.raises(ValueError, match="cannot drop by"):
        samples_for_proportion(0.02, 0.05)


def rows(title: str) -> list[list[float]]:
    """The numbers of a table of the page, below its heading."""
    section = PAGE.read_text().split(f"### {title}\n", 1)[1].split("\n#", 1)[0]
    lines = [line for line in section.splitlines() if re.match(r"\|\s*[\d.]", line)]
    return [[float(cell.strip(" %").replace(",", "")) for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_prints_what_the_functions_compute() -> None:
    printed = rows("Right answers, both checkpoints on the same samples")
    assert printed == [
        [drop, *(samples_for_paired_proportions(share, drop / 100) for share in (0.05, 0.1, 0.2, 0.4))]
        for drop in (1, 2, 3, 5)
    ]
    printed = rows("Games against an equal opponent")
    assert printed == [
        [elo, 2 * pairs_for_elo(elo), 2 * pairs_for_elo(elo, pair_deviation=0.25), 2 * pairs_for_elo(elo, power=0.95)]
        for elo in (10, 20, 30, 50, 100, 200)
    ]
    printed = rows("Means")
    assert printed == [
        [ratio, samples_for_mean(1.0, ratio), samples_for_mean(1.0, ratio, power=0.95)]
        for ratio in (0.05, 0.1, 0.2, 0.5)
    ]
