"""A metric with its interval, alone and against a baseline, from per-sample values.

Only samples that both have count, each with its counterpart: what makes a sample hard makes it hard for both, and the
difference is far surer than the two values are.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hantei_evaluator.statistics.intervals import (
    bootstrap_mean_interval,
    clustered_mean,
    mean_interval,
    proportion_standard_error,
    standard_error,
    wilson_interval,
)
from hantei_evaluator.statistics.paired_proportions import paired_proportion_interval, tango_interval
from hantei_evaluator.statistics.power import (
    detectable_mean,
    detectable_paired_proportions,
    samples_for_mean,
    samples_for_paired_proportions,
)
from hantei_evaluator.statistics.quantiles import student_two_sided, two_sided

BOOTSTRAP_SAMPLES: Final = 1000
"""Up to so many samples a mean has a bootstrap interval; with more, Student's is as good, and the bootstrap would cost seconds."""

_ONE_SIGMA: Final = math.erf(1 / math.sqrt(2))
"""Confidence of an interval of one standard error each way."""


class Unit(StrEnum):
    """What ``n`` counts."""

    SAMPLES = "samples"
    PAIRS = "pairs of games"

    def counted(self, n: int) -> str:
        """``n`` with its unit: "1 sample", "40 pairs of games"."""
        return (
            f"{n} {self.value}" if n != 1 else f"1 {self.value.replace('samples', 'sample').replace('pairs', 'pair')}"
        )


@dataclass(frozen=True)
class Estimate:
    """A metric of one checkpoint."""

    value: float
    stderr: float | None
    low: float | None
    """Lower end of the two-sided interval; None where a single sample shows no spread."""
    high: float | None
    confidence: float
    n: int
    """Samples, or pairs of games."""
    method: str
    unit: Unit = Unit.SAMPLES

    @property
    def counted(self) -> str:
        """``n`` in words."""
        return self.unit.counted(self.n)

    def minimum_detectable(self, power: float) -> float:
        """The smallest distance from a fixed limit that so many samples show with this power; inf without an error."""
        return math.inf if self.stderr is None else _detectable(self.stderr, self.n, self.confidence, power)

    def samples_for(self, effect: float, power: float) -> int | None:
        """Samples that would show a distance of ``effect`` from a fixed limit; None where nothing tells."""
        return _samples_for(self.stderr, self.n, effect, self.confidence, power)


@dataclass(frozen=True)
class Difference:
    """A metric of a checkpoint against a baseline's, over the same samples."""

    value: float
    baseline_value: float
    difference: float
    """``value`` less ``baseline_value``."""
    stderr: float | None
    low: float | None
    """Lower end of the difference's two-sided interval; None where a single sample shows no spread."""
    high: float | None
    confidence: float
    n: int
    """Samples that both have, or pairs of games."""
    left_out: int
    """Samples that only one of the two has."""
    method: str
    unit: Unit = Unit.SAMPLES
    discordant: float | None = None
    """Share of samples that one got right and the other wrong; None when values are not 0 and 1."""

    @property
    def counted(self) -> str:
        """``n`` in words."""
        return self.unit.counted(self.n)

    def minimum_detectable(self, power: float) -> float:
        """The smallest drop that so many samples show with this power; inf without an error."""
        if self.discordant is not None:
            return detectable_paired_proportions(self.discordant, self.n, self.confidence, power)
        return math.inf if self.stderr is None else _detectable(self.stderr, self.n, self.confidence, power)

    def samples_for(self, effect: float, power: float) -> int | None:
        """Samples that would show a drop of ``effect``; None where nothing tells."""
        if self.discordant is not None and 0 < effect <= 1:
            return samples_for_paired_proportions(max(self.discordant, effect), effect, self.confidence, power)
        return _samples_for(self.stderr, self.n, effect, self.confidence, power)


def estimate(
    values: Mapping[str, float],
    pairs: Mapping[str, Hashable] | None = None,
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The mean of ``values`` by sampleId and its interval.

    Wilson's for values of 0 and 1; for samples in ``pairs`` Student's over the pairs; else a bootstrap of the mean, or
    Student's for more than ``BOOTSTRAP_SAMPLES``. Raises ValueError without samples or when a value is not finite.
    """
    ids = sorted(values)
    if not ids:
        raise ValueError("no samples: a metric needs at least one")
    numbers = _numbers(values, ids)
    clusters = _clusters(ids, pairs)
    if clusters is not None:
        mean, stderr, low, high, n = _clustered(numbers, clusters, confidence, ends=(0.0, 1.0))
        if np.isin(numbers, (0.0, 0.5, 1.0)).all() and low is not None and high is not None:
            low, high = max(low, 0.0), min(high, 1.0)
        return Estimate(mean, stderr, low, high, confidence, n, "Student's t over pairs", Unit.PAIRS)
    if _is_binary(numbers):
        successes, n = int(numbers.sum()), numbers.size
        low, high = wilson_interval(successes, n, confidence)
        error = proportion_standard_error(successes, n)
        return Estimate(successes / n, error, low, high, confidence, n, "Wilson")
    low, high, method = _mean(numbers, confidence, seed, "bootstrap")
    return Estimate(float(numbers.mean()), standard_error(numbers), low, high, confidence, numbers.size, method)


def reported(value: float, stderr: float | None, n: int, *, confidence: float = 0.95) -> Estimate:
    """A metric that came without per-sample values, with a normal interval from its standard error."""
    half = None if stderr is None else two_sided(confidence) * stderr
    low, high = (None, None) if half is None else (value - half, value + half)
    return Estimate(value, stderr, low, high, confidence, n, "reported standard error, normal interval")


def compare(
    values: Mapping[str, float],
    baseline: Mapping[str, float],
    pairs: Mapping[str, Hashable] | None = None,
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> Difference:
    """The mean of ``values`` less that of ``baseline`` over the sampleIds that both have, and its interval.

    McNemar's comparison for values of 0 and 1 (see ``paired_proportions``); for samples in ``pairs``, as the games of an
    opening, Student's t over the differences of the pairs' mean scores, weighted by their games; else a bootstrap of the
    mean difference, or Student's for more than ``BOOTSTRAP_SAMPLES``. Raises ValueError when no sampleId is in both or a
    value is not finite.
    """
    ids = sorted(values.keys() & baseline.keys())
    if not ids:
        raise ValueError(
            f"no sampleId is in both: the checkpoint has {len(values)} samples, the baseline {len(baseline)}; "
            "compare runs of the same suite, data and seed"
        )
    left_out = len(values.keys() ^ baseline.keys())
    mine, theirs = _numbers(values, ids), _numbers(baseline, ids)
    differences = mine - theirs
    value, baseline_value = float(mine.mean()), float(theirs.mean())
    clusters = _clusters(ids, pairs)
    discordant, unit, n = None, Unit.SAMPLES, len(ids)
    low: float | None
    high: float | None
    if clusters is not None:
        _, stderr, low, high, n = _clustered(differences, clusters, confidence, ends=(-1.0, 1.0))
        method, unit = "pentanomial pairs", Unit.PAIRS
    elif _is_binary(mine) and _is_binary(theirs):
        gained, lost = int((differences > 0).sum()), int((differences < 0).sum())
        low, high, method = paired_proportion_interval(gained, lost, n, confidence)
        within = tango_interval(gained, lost, n, _ONE_SIGMA)
        stderr = (within[1] - within[0]) / 2
        discordant = (gained + lost) / n
    else:
        low, high, method = _mean(differences, confidence, seed, "paired bootstrap")
        stderr = standard_error(differences)
    return Difference(
        value=value,
        baseline_value=baseline_value,
        difference=value - baseline_value,
        stderr=stderr,
        low=low,
        high=high,
        confidence=confidence,
        n=n,
        left_out=left_out,
        method=method,
        unit=unit,
        discordant=discordant,
    )


def compare_reported(value: Estimate, baseline: Estimate) -> Difference:
    """The difference of two metrics without per-sample values, as of independent samples: wider than a paired one.

    Its standard error is the root of the sum of squares, and none where one of the two has none.
    """
    difference = value.value - baseline.value
    stderr = None
    if value.stderr is not None and baseline.stderr is not None:
        stderr = math.hypot(value.stderr, baseline.stderr)
    half = None if stderr is None else two_sided(value.confidence) * stderr
    return Difference(
        value=value.value,
        baseline_value=baseline.value,
        difference=difference,
        stderr=stderr,
        low=None if half is None else difference - half,
        high=None if half is None else difference + half,
        confidence=value.confidence,
        n=min(value.n, baseline.n),
        left_out=0,
        method="unpaired, normal interval",
    )


def _numbers(values: Mapping[str, float], ids: Sequence[str]) -> NDArray[np.float64]:
    numbers = np.array([values[each] for each in ids], dtype=np.float64)
    if not np.isfinite(numbers).all():
        bad = ids[int(np.flatnonzero(~np.isfinite(numbers))[0])]
        raise ValueError(f"sample {bad} has the value {values[bad]}, and a mean needs finite ones")
    return numbers


def _clusters(ids: Sequence[str], pairs: Mapping[str, Hashable] | None) -> NDArray[np.intp] | None:
    """[n] numbers of the pairs; a sample without one stands alone. None when no sample has a pair."""
    if not pairs or not any(pairs.get(each) is not None for each in ids):
        return None
    labels: dict[Hashable, int] = {}
    found = [(True, pairs[each]) if pairs.get(each) is not None else (False, each) for each in ids]
    return np.array([labels.setdefault(label, len(labels)) for label in found], dtype=np.intp)


def _is_binary(numbers: NDArray[np.float64]) -> bool:
    return bool(((numbers == 0) | (numbers == 1)).all())


def _clustered(
    numbers: NDArray[np.float64], clusters: NDArray[np.intp], confidence: float, *, ends: tuple[float, float]
) -> tuple[float, float | None, float | None, float | None, int]:
    """Mean, standard error, interval and number of pairs.

    Pairs that all came out alike show no spread. So many of them then say only that others are rare, by Wilson's bound for
    none of n, and each of those lies at the further one of the ``ends`` at most.
    """
    mean, stderr, count = clustered_mean(numbers, clusters)
    if stderr is None:
        return mean, None, None, None, count
    if stderr > 0:
        half = student_two_sided(confidence, count - 1) * stderr
    else:
        furthest = max(mean - ends[0], ends[1] - mean)
        half = wilson_interval(0, count, confidence)[1] * furthest
        stderr = proportion_standard_error(0, count) * furthest
    return mean, stderr, mean - half, mean + half, count


def _mean(
    numbers: NDArray[np.float64], confidence: float, seed: int, name: str
) -> tuple[float | None, float | None, str]:
    if numbers.size < 2:
        return None, None, "a single sample"
    if numbers.size <= BOOTSTRAP_SAMPLES:
        return *bootstrap_mean_interval(numbers, confidence, seed=seed), name
    return *mean_interval(numbers, confidence), "Student's t of the mean"


def _detectable(stderr: float, n: int, confidence: float, power: float) -> float:
    return detectable_mean(stderr * math.sqrt(n), n, confidence, power)


def _samples_for(stderr: float | None, n: int, effect: float, confidence: float, power: float) -> int | None:
    if not stderr or effect <= 1e-6 * stderr:
        return None
    return samples_for_mean(stderr * math.sqrt(n), effect, confidence, power)
