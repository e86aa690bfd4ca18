"""The first half of the page: the verdict, what was evaluated on what, the metrics, the curve, the service levels."""

import math
from collections.abc import Sequence

from hantei_api.gate import Comparison
from hantei_api.metrics import Metric
from hantei_api.reasons import Reason, Verdict
from hantei_api.result import EvaluationResult
from hantei_evaluator.export.report.charts import Estimate, Point, curve, intervals
from hantei_evaluator.export.report.evaluations import Evaluation
from hantei_evaluator.export.report.markup import Markup, element, join, table
from hantei_evaluator.statistics.intervals import proportion_standard_error, wilson_interval
from hantei_evaluator.statistics.quantiles import two_sided

Z95 = two_sided(0.95)
"""Standard errors on either side of a 95 % interval of a normal estimate."""

MAX_METRICS = 40

_SAYS = {
    Verdict.PASS: "good enough",
    Verdict.REGRESSED: "worse than its baseline",
    Verdict.NOT_SIGNIFICANT: "no clear difference",
    Verdict.UNDERPOWERED: "too few samples to tell",
    Verdict.NONE: "was given to compare with",
}


def verdict(result: EvaluationResult) -> Markup:
    """The verdict, large, and the comparison it rests on as a sentence and as an interval."""
    good = result.reason in {Reason.COMPLETED, Reason.GATE_FAILED}
    word = result.verdict.value if result.verdict is not Verdict.NONE or not good else "No baseline"
    if not good:
        word = result.reason.value
    kind = result.verdict.value.lower() if good else "failed"
    parts: list[object] = [
        element(
            "p",
            element("span", word, class_=f"badge {kind}"),
            " ",
            _SAYS[result.verdict] if good else "",
            class_="verdict",
        )
    ]
    if result.message:
        parts.append(element("p", result.message))
    if not result.complete:
        parts.append(element("p", f"Cut short: the numbers rest on {result.samples_done:,} samples.", class_="warning"))
    if result.comparison is not None and result.comparison.difference is not None:
        parts.append(_comparison(result.comparison))
    return element("section", *parts)


def _comparison(found: Comparison) -> Markup:
    difference = found.difference or 0.0
    low, high = (difference if end is None else end for end in (found.low, found.high))
    text = f"{difference:+.4g} [{low:+.4g}, {high:+.4g}]"
    picture = intervals([Estimate(f"{found.metric}: difference", difference, low, high, text)], mark=0.0)
    detectable = (
        f" So many samples show a drop of {found.minimum_detectable:.3g} or more." if found.minimum_detectable else ""
    )
    note = (
        f"{found.metric} {found.value:.4g} against {found.baseline_value:.4g} of {found.baseline}, "
        f"{found.confidence:.0%} interval, n = {found.n:,}, by {found.method}.{detectable}"
    )
    return join([picture, element("p", note, class_="note")])


def facts(evaluation: Evaluation) -> Markup:
    """Enough to run it again: checkpoint, device, versions, seed, time."""
    result, origin = evaluation.result, evaluation.result.provenance
    versions = ", ".join(f"{name} {version}" for name, version in origin.versions.items())
    rows: list[tuple[str, object]] = [
        ("run", f"{result.namespace}/{result.run}, attempt {result.attempt}"),
        ("suite", result.suite),
        ("training step", "unknown" if result.training_step is None else f"{result.training_step:,}"),
        ("checkpoint", element("code", origin.checkpoint_sha256 or "unknown")),
        ("computed on", " ".join(filter(None, [origin.device or "unknown", origin.precision]))),
        ("seed", "unknown" if origin.seed is None else origin.seed),
        ("samples", _samples_text(evaluation)),
        ("took", f"{result.timings.load_seconds:.1f} s to load, {result.timings.evaluate_seconds:.1f} s to evaluate"),
        ("finished", f"{result.finished_at:%Y-%m-%d %H:%M:%S %Z}"),
        ("versions", versions or "unknown"),
    ]
    if origin.image_digest or origin.image:
        rows.append(("image", element("code", origin.image_digest or origin.image)))
    body = [element("tr", element("th", name, scope="row"), element("td", value)) for name, value in rows]
    return element(
        "section", element("h2", "What was evaluated"), element("table", element("tbody", *body), class_="facts")
    )


def _samples_text(evaluation: Evaluation) -> str:
    result = evaluation.result
    text = f"{result.samples_done:,}" + (f" of {result.samples_total:,}" if result.samples_total is not None else "")
    reused = result.provenance.reused_samples
    return f"{text}, {reused:,} of them taken over from an earlier evaluation" if reused else text


def metrics(result: EvaluationResult) -> Markup:
    """Every metric with its interval; those of one scale share a picture."""
    shown = result.metrics[:MAX_METRICS]
    if not shown:
        return element("section", element("h2", "Metrics"), element("p", "Nothing was measured."))
    unit = [each for each in shown if 0 <= each.value <= 1 and (each.stderr or 0) <= 0.5]
    others = [each for each in shown if each not in unit]
    parts: list[object] = [element("h2", "Metrics")]
    if unit:
        parts.append(intervals([estimate(each) for each in unit]))
    if others:
        rows = [(each.name, *_cells(each)) for each in others]
        parts.append(table(("metric", "value", "95 % interval", "n"), rows))
    left = len(result.metrics) - len(shown)
    more = f" {left} more are in result.json." if left else ""
    parts.append(
        element(
            "p",
            f"Intervals are 95 %: Wilson's for shares of samples, else 1.96 standard errors on either side.{more}",
            class_="note",
        )
    )
    return element("section", *parts)


def _cells(metric: Metric) -> tuple[str, str, str]:
    found = estimate(metric)
    interval = "" if metric.stderr is None else f"{found.low:.4g} to {found.high:.4g}"
    return f"{metric.value:.5g}", interval, f"{metric.n:,}"


def estimate(metric: Metric) -> Estimate:
    """A metric as a dot with its 95 % interval."""
    low, high = _interval(metric)
    value = f"{metric.value:.4g}" if metric.stderr is None else f"{metric.value:.3f} [{low:.3f}, {high:.3f}]"
    return Estimate(metric.name, metric.value, low, high, f"{value}  n = {metric.n:,}")


def _interval(metric: Metric) -> tuple[float, float]:
    stderr = metric.stderr or 0.0
    if 0 <= metric.value <= 1:
        # A share carries the error of one, which is Wilson's too.
        count = round(metric.value * metric.n)
        if math.isclose(stderr, proportion_standard_error(count, metric.n), rel_tol=1e-6):
            return wilson_interval(count, metric.n)
    return metric.value - Z95 * stderr, metric.value + Z95 * stderr


def over_training(evaluations: Sequence[Evaluation]) -> Markup:
    """The deciding metric over the training steps; nothing for a single step."""
    last = evaluations[-1].result
    name = last.comparison.metric if last.comparison else (last.metrics[0].name if last.metrics else "")
    points = []
    for evaluation in evaluations:
        found = next((each for each in evaluation.result.metrics if each.name == name), None)
        if found is not None and evaluation.result.training_step is not None:
            points.append(Point(evaluation.result.training_step, estimate(found)))
    if len({point.step for point in points}) < 2:
        return Markup()
    points.sort(key=lambda point: point.step)
    rows = [(f"{each.step:,}", each.estimate.text) for each in points]
    return element(
        "section",
        element("h2", f"{name} over training"),
        curve(points),
        table(("training step", f"{name}, 95 % interval"), rows),
    )


def service_levels(result: EvaluationResult) -> Markup:
    """The four readings against their thresholds."""
    if result.sla is None:
        return Markup()
    rows = []
    for each in result.sla.readings:
        value = "" if each.value is None else f"{each.value:,.4g}"
        state = "over" if each.violated else ("within" if each.value is not None else each.reason or "not measured")
        rows.append((each.metric.value, value, f"{each.threshold:,.4g}", state))
    return element("section", element("h2", "Service levels"), table(("reading", "value", "threshold", ""), rows))
