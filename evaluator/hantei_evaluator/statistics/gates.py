"""The verdict of a gate, from intervals alone.

With d the value less the baseline's (turned round where low is good) and its interval [low, high]:

    limit            Pass              Regressed       neither
    maxDrop          low >= -maxDrop   high < 0        Underpowered when so few samples could not show a drop of maxDrop,
                                                       else NotSignificant
    only a baseline  low >= 0          high < 0        NotSignificant
    minimum          low >= minimum    high < minimum  as for maxDrop where there is one, else NotSignificant

Pass comes first: a drop that is certain and certainly within maxDrop passes. With a baseline and a minimum the worse verdict
stands. A maxDrop of 0 names no drop that matters, so that nothing is too weak to show it.
"""

import math
from dataclasses import dataclass
from typing import Final

from hantei_api.gate import Comparison, Gate, is_lower_better
from hantei_api.reasons import Verdict
from hantei_evaluator.statistics.comparison import Difference, Estimate

_WORST_FIRST: Final = (Verdict.REGRESSED, Verdict.UNDERPOWERED, Verdict.NOT_SIGNIFICANT, Verdict.PASS)


@dataclass(frozen=True)
class Decision:
    """What a gate says."""

    verdict: Verdict
    comparison: Comparison
    message: str
    """The numbers in a sentence, and what to do when there were too few samples."""


def decide(
    metric: str,
    value: Estimate,
    difference: Difference | None = None,
    gate: Gate | None = None,
    baseline: str | None = None,
) -> Decision:
    """The verdict on ``metric``.

    ``value`` is the metric's own estimate, ``difference`` that against ``baseline`` (for people: "run NAME", or the
    checkpoint's digest), which is looked at with or without a gate. Raises ValueError when there is nothing to
    decide: neither a gate nor a difference, a maxDrop without a difference, or intervals of another confidence than the
    gate's.
    """
    limit = gate.max_drop if gate is not None else None
    if difference is None and (gate is None or limit is not None):
        raise ValueError("a verdict needs a baseline, or a gate with a minimum and no maxDrop")
    for interval in (value, difference):
        if gate is not None and interval is not None and not math.isclose(interval.confidence, gate.confidence):
            raise ValueError(f"the interval's confidence is {interval.confidence:g}, the gate's {gate.confidence:g}")
    found: list[tuple[Verdict, str]] = []
    power = 0.8 if gate is None else gate.power
    turned = is_lower_better(metric, gate)
    if difference is not None:
        found.append(_against_baseline(metric, difference, limit, power, baseline, turned=turned))
    if gate is not None and gate.minimum is not None:
        found.append(_against_minimum(metric, value, gate.minimum, limit, power, turned=turned))
    verdict = min((each for each, _ in found), key=_WORST_FIRST.index)
    return Decision(
        verdict=verdict,
        comparison=_comparison(metric, value, difference, power, baseline),
        message=f"{verdict}: {'; '.join(sentence for _, sentence in found)}.",
    )


def _comparison(
    metric: str, value: Estimate, difference: Difference | None, power: float, baseline: str | None
) -> Comparison:
    source = value if difference is None else difference
    detectable = source.minimum_detectable(power)
    return Comparison(
        metric=metric,
        baseline=None if difference is None else baseline,
        value=source.value,
        baseline_value=None if difference is None else difference.baseline_value,
        difference=None if difference is None else difference.difference,
        stderr=source.stderr,
        low=source.low,
        high=source.high,
        confidence=source.confidence,
        n=source.n,
        minimum_detectable=detectable if math.isfinite(detectable) else None,
        method=source.method,
    )


def _against_baseline(
    metric: str, difference: Difference, limit: float | None, power: float, baseline: str | None, *, turned: bool
) -> tuple[Verdict, str]:
    drop = "rise" if turned else "drop"
    allowed = limit or 0.0
    low, high = _turned(difference.low, difference.high, 0.0, turned=turned)
    detectable = difference.minimum_detectable(power)
    verdict = _verdict(low, high, detectable, tolerated=allowed, relevant=allowed)
    more = f"a {drop} of more than {_number(allowed)}" if allowed else f"a {drop}"
    match verdict:
        case Verdict.PASS:
            end = f"{more} is excluded"
        case Verdict.REGRESSED:
            end = f"a {drop} is certain"
            if allowed:
                end += f" and one of more than {_number(allowed)} is not excluded"
        case Verdict.UNDERPOWERED:
            end = _underpowered(difference, detectable, allowed, power, drop)
        case _:
            end = f"{more} is not excluded, and no {drop} is certain"
    against = f"{_number(difference.baseline_value)}{f' of {baseline}' if baseline else ''}"
    return verdict, (
        f"{metric} {_number(difference.value)} against {against}, a difference of {difference.difference:+.3g}"
        f"{_interval(difference)}; {end}"
    )


def _against_minimum(
    metric: str, value: Estimate, minimum: float, limit: float | None, power: float, *, turned: bool
) -> tuple[Verdict, str]:
    relevant = limit or 0.0
    low, high = _turned(value.low, value.high, minimum, turned=turned)
    detectable = value.minimum_detectable(power)
    verdict = _verdict(low, high, detectable, tolerated=0.0, relevant=relevant)
    match verdict:
        case Verdict.PASS:
            end = "is certainly kept"
        case Verdict.REGRESSED:
            end = "is certainly missed"
        case Verdict.UNDERPOWERED:
            end = f"may be kept or missed; {_underpowered(value, detectable, relevant, power, 'distance')}"
        case _:
            end = "may be kept or missed"
            if samples := value.samples_for(abs(value.value - minimum), power):
                end += f"; about {samples} {value.unit.value} would tell if the value stays"
    name = "maximum" if turned else "minimum"
    return verdict, f"{metric} {_number(value.value)}{_interval(value)}; the {name} of {_number(minimum)} {end}"


def _verdict(low: float | None, high: float | None, detectable: float, *, tolerated: float, relevant: float) -> Verdict:
    """From the interval of what must not be negative; None where a single sample has no interval."""
    if low is not None and low >= -tolerated:
        return Verdict.PASS
    if high is not None and high < 0:
        return Verdict.REGRESSED
    return Verdict.UNDERPOWERED if detectable > relevant > 0 else Verdict.NOT_SIGNIFICANT


def _underpowered(source: Estimate | Difference, detectable: float, wanted: float, power: float, what: str) -> str:
    if not math.isfinite(detectable):
        return "one alone shows no spread: evaluate more"
    needed = source.samples_for(wanted, power)
    cure = "" if needed is None else f"raise their number to about {needed}, which show one of {_number(wanted)}, or "
    return f"so few show only a {what} of {detectable:.3g} or more with {100 * power:g} % power: {cure}raise maxDrop"


def _turned(low: float | None, high: float | None, zero: float, *, turned: bool) -> tuple[float | None, float | None]:
    """The interval less ``zero``, mirrored where low is good."""
    if low is None or high is None:
        return None, None
    return (zero - high, zero - low) if turned else (low - zero, high - zero)


def _interval(source: Estimate | Difference) -> str:
    if source.low is None or source.high is None:
        return f" (no interval, {source.counted})"
    return f" ({100 * source.confidence:g} % interval {source.low:.3g} to {source.high:.3g}, {source.counted})"


def _number(value: float) -> str:
    return f"{value:.4g}"
