"""A gate's verdict, for every place that an interval can have."""

import pytest

from hantei_api.gate import Gate
from hantei_api.reasons import Verdict
from hantei_evaluator.statistics.comparison import Difference, Estimate, Unit, compare, estimate, reported
from hantei_evaluator.statistics.gates import decide


def difference(
    low: float | None, high: float | None, *, stderr: float | None = 0.01, confidence: float = 0.95
) -> Difference:
    middle = 0.0 if low is None or high is None else (low + high) / 2
    return Difference(
        value=0.8 + middle,
        baseline_value=0.8,
        difference=middle,
        stderr=stderr,
        low=low,
        high=high,
        confidence=confidence,
        n=400,
        left_out=0,
        method="paired bootstrap",
    )


def value(low: float, high: float, stderr: float = 0.01) -> Estimate:
    return Estimate((low + high) / 2, stderr, low, high, 0.95, 400, "Wilson")


ANY = value(0.75, 0.85)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.03, Verdict.PASS),
        (-0.02, 0.02, Verdict.PASS),
        (-0.05, 0.01, Verdict.PASS),
        (-0.04, -0.01, Verdict.PASS),
        (-0.08, -0.02, Verdict.REGRESSED),
        (-0.20, -0.10, Verdict.REGRESSED),
        (-0.06, 0.01, Verdict.NOT_SIGNIFICANT),
    ],
)
def test_a_limit_on_the_drop(low: float, high: float, verdict: Verdict) -> None:
    assert decide("accuracy", ANY, difference(low, high), Gate(max_drop=0.05)).verdict is verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.03, -0.01, Verdict.PASS),
        (-0.01, 0.05, Verdict.PASS),
        (0.02, 0.08, Verdict.REGRESSED),
        (-0.01, 0.06, Verdict.NOT_SIGNIFICANT),
    ],
)
def test_a_limit_on_the_rise_where_low_is_good(low: float, high: float, verdict: Verdict) -> None:
    found = decide("cross_entropy", ANY, difference(low, high), Gate(max_drop=0.05, lower_is_better=True))
    assert found.verdict is verdict
    assert (found.comparison.low, found.comparison.high) == (low, high)


def test_too_few_samples_to_show_the_drop_are_underpowered_and_the_message_says_how_many_would_do() -> None:
    # 2.8 standard errors of 0.03 show 0.084; 400 (0.0842 / 0.05)^2 and a little less show 0.05.
    found = decide("return", ANY, difference(-0.07, 0.05, stderr=0.03), Gate(max_drop=0.05), "run base")
    assert found.verdict is Verdict.UNDERPOWERED
    assert found.comparison.minimum_detectable == pytest.approx(0.0842, abs=5e-4)
    assert found.message == (
        "Underpowered: return 0.79 against 0.8 of run base, a difference of -0.01 (95 % interval -0.07 to 0.05, 400 samples); "
        "so few show only a drop of 0.0842 or more with 80 % power: raise their number to about 1132, which show one of 0.05, "
        "or raise maxDrop."
    )


def test_more_power_asks_for_more_samples() -> None:
    gate = Gate(max_drop=0.03)
    sure = Gate(max_drop=0.03, power=0.95)
    assert decide("return", ANY, difference(-0.04, 0.01), gate).verdict is Verdict.NOT_SIGNIFICANT
    assert decide("return", ANY, difference(-0.04, 0.01), sure).verdict is Verdict.UNDERPOWERED


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.0, 0.1, Verdict.PASS), (-0.1, -0.01, Verdict.REGRESSED), (-0.1, 0.1, Verdict.NOT_SIGNIFICANT)],
)
@pytest.mark.parametrize("gate", [None, Gate(minimum=0.1)])
def test_a_baseline_without_a_limit_on_the_drop(low: float, high: float, verdict: Verdict, gate: Gate | None) -> None:
    assert decide("accuracy", ANY, difference(low, high), gate).verdict is verdict


@pytest.mark.parametrize("metric", ["cross_entropy", "ece", "loss_rate"])
def test_a_known_loss_that_rises_never_passes_unless_the_gate_says_so(metric: str) -> None:
    assert decide(metric, ANY, difference(0.1, 0.2), Gate(max_drop=0.05)).verdict is Verdict.REGRESSED
    assert decide(metric, ANY, difference(0.1, 0.2)).verdict is Verdict.REGRESSED
    turned = Gate(max_drop=0.05, lower_is_better=False)
    assert decide(metric, ANY, difference(0.1, 0.2), turned).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("low", "high", "lower_is_better", "verdict"),
    [
        (0.80, 0.90, False, Verdict.PASS),
        (0.70, 0.79, False, Verdict.REGRESSED),
        (0.75, 0.85, False, Verdict.NOT_SIGNIFICANT),
        (0.81, 0.90, True, Verdict.REGRESSED),
        (0.70, 0.80, True, Verdict.PASS),
    ],
)
def test_a_minimum(low: float, high: float, *, lower_is_better: bool, verdict: Verdict) -> None:
    found = decide("accuracy", value(low, high), gate=Gate(minimum=0.8, lower_is_better=lower_is_better))
    assert found.verdict is verdict
    assert (found.comparison.low, found.comparison.high) == (low, high)
    assert (found.comparison.baseline, found.comparison.difference) == (None, None)


@pytest.mark.parametrize(
    ("of_difference", "of_value", "verdict"),
    [
        (difference(-0.01, 0.01), value(0.85, 0.9), Verdict.PASS),
        (difference(-0.01, 0.01), value(0.6, 0.7), Verdict.REGRESSED),
        (difference(-0.2, -0.1), value(0.85, 0.9), Verdict.REGRESSED),
        (difference(-0.06, 0.01), value(0.85, 0.9), Verdict.NOT_SIGNIFICANT),
        (difference(-0.01, 0.01), value(0.7, 0.9, stderr=0.05), Verdict.UNDERPOWERED),
        (difference(-0.2, 0.2, stderr=0.1), value(0.7, 0.9), Verdict.UNDERPOWERED),
        (difference(-0.2, 0.2, stderr=0.1), value(0.6, 0.7), Verdict.REGRESSED),
    ],
)
def test_of_two_limits_the_worse_verdict_stands(
    of_difference: Difference, of_value: Estimate, verdict: Verdict
) -> None:
    found = decide("accuracy", of_value, of_difference, Gate(minimum=0.8, max_drop=0.05), "run base")
    assert found.verdict is verdict
    assert found.comparison.difference == of_difference.difference


def test_a_single_sample_is_underpowered() -> None:
    lonely = compare({"a": 0.3}, {"a": 0.5})
    found = decide("return", estimate({"a": 0.3}), lonely, Gate(max_drop=0.05), "run base")
    assert found.verdict is Verdict.UNDERPOWERED
    assert found.comparison.minimum_detectable is None
    assert "no interval, 1 sample" in found.message
    assert decide("return", estimate({"a": 0.3}), gate=Gate(minimum=0.1)).verdict is Verdict.NOT_SIGNIFICANT
    assert decide("return", estimate({"a": 0.3}), lonely).verdict is Verdict.NOT_SIGNIFICANT


def test_a_limit_of_no_drop_at_all_is_never_underpowered() -> None:
    assert decide("return", ANY, difference(-0.01, 0.03), Gate(max_drop=0.0)).verdict is Verdict.NOT_SIGNIFICANT
    assert decide("return", ANY, difference(0.0, 0.03), Gate(max_drop=0.0)).verdict is Verdict.PASS
    assert decide("return", ANY, difference(-0.03, -0.01), Gate(max_drop=0.0)).verdict is Verdict.REGRESSED


def test_every_verdict_says_its_numbers_in_a_sentence() -> None:
    passed = decide("score", ANY, difference(-0.02, 0.02), Gate(max_drop=0.05), "run base").message
    assert passed == (
        "Pass: score 0.8 against 0.8 of run base, a difference of +0 (95 % interval -0.02 to 0.02, 400 samples); "
        "a drop of more than 0.05 is excluded."
    )
    regressed = decide("score", ANY, difference(-0.2, -0.1), Gate(max_drop=0.05), "run base").message
    assert regressed.endswith("a drop is certain and one of more than 0.05 is not excluded.")
    neither = decide("score", ANY, difference(-0.06, 0.01), Gate(max_drop=0.05), "run base").message
    assert neither.endswith("a drop of more than 0.05 is not excluded, and no drop is certain.")
    kept = decide("score", value(0.85, 0.9), gate=Gate(minimum=0.8)).message
    assert kept == "Pass: score 0.875 (95 % interval 0.85 to 0.9, 400 samples); the minimum of 0.8 is certainly kept."
    missed = decide("loss", value(0.85, 0.9), gate=Gate(minimum=0.8, lower_is_better=True)).message
    assert missed.endswith("the maximum of 0.8 is certainly missed.")
    open_ = decide("elo_difference", reported(20.0, 15.0, 100), gate=Gate(minimum=0.0)).message
    assert open_.endswith("the minimum of 0 may be kept or missed; about 444 samples would tell if the value stays.")


def test_the_gate_s_confidence_and_the_interval_s_are_one() -> None:
    with pytest.raises(ValueError, match=r"confidence is 0\.95, the gate's 0\.99"):
        decide("accuracy", ANY, difference(-0.01, 0.01), Gate(max_drop=0.05, confidence=0.99))


@pytest.mark.parametrize("gate", [None, Gate(max_drop=0.05)])
def test_nothing_to_compare_with_is_refused(gate: Gate | None) -> None:
    with pytest.raises(ValueError, match="needs a baseline"):
        decide("accuracy", ANY, gate=gate)


def test_the_comparison_carries_what_was_compared() -> None:
    mine = {f"s{i}": float(i % 5 > 0) for i in range(200)}
    theirs = {f"s{i}": float(i % 4 > 0) for i in range(200)}
    found = decide("accuracy", estimate(mine), compare(mine, theirs), Gate(max_drop=0.1), "run base").comparison
    assert (found.metric, found.baseline, found.n, found.confidence) == ("accuracy", "run base", 200, 0.95)
    assert (found.value, found.baseline_value) == (0.8, 0.75)
    assert found.method == "McNemar, score interval"
    games = {f"g{i}": float(i % 2) for i in range(40)}
    pairs = {name: i // 2 for i, name in enumerate(games)}
    against = decide("score", estimate(games, pairs), compare(games, games, pairs), Gate(max_drop=0.3), "run base")
    assert (against.comparison.n, against.comparison.method) == (20, "pentanomial pairs")
    assert Unit.PAIRS.counted(20) in against.message
