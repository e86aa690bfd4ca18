"""The second half of the page, from the samples: who beat whom, what was taken for what, lengths, and what changed."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from hantei_evaluator.export.report.charts import bars, histogram
from hantei_evaluator.export.report.evaluations import Evaluation, Record
from hantei_evaluator.export.report.markup import Markup, element, table

MAX_CLASSES = 24
MAX_CHANGED = 50
_LENGTHS = {"plies": "plies", "length": "steps"}
_SHOWN_KEYS = ("outcome", "label", "predicted", "termination", "plies", "return", "length")


def cross_table(samples: Mapping[str, Record]) -> Markup:
    """Points of each player against each other, for samples that are games."""
    points: dict[tuple[str, str], list[float]] = defaultdict(list)
    for record in samples.values():
        black, white, score = record.get("black"), record.get("white"), record.get("blackScore")
        if isinstance(black, str) and isinstance(white, str) and isinstance(score, int | float):
            points[black, white].append(float(score))
            points[white, black].append(1.0 - float(score))
    if not points:
        return Markup()
    players = sorted({one for one, _ in points}, key=lambda one: -_mean(_all(points, one)))
    rows = []
    for one in players:
        cells = [_score_cell(points.get((one, other), [])) if one != other else "" for other in players]
        every = _all(points, one)
        rows.append((element("th", one, scope="row"), *cells, f"{sum(every):g} of {len(every)}"))
    return element(
        "section",
        element("h2", "Cross table"),
        table(("", *players, "points"), rows, class_="matrix"),
        element("p", "Mean points of the row's player against the column's: a win is 1, a draw 0.5.", class_="note"),
    )


def _all(points: Mapping[tuple[str, str], list[float]], player: str) -> list[float]:
    return [score for (one, _), scores in points.items() if one == player for score in scores]


def _score_cell(scores: list[float]) -> Markup:
    if not scores:
        return element("td", "")
    mean = _mean(scores)
    return element("td", f"{mean:.2f} ({len(scores)})", style=_shade(mean))


def confusion(samples: Mapping[str, Record]) -> Markup:
    """How often each class was taken for which, for samples with label and predicted."""
    pairs = [(each["label"], each["predicted"]) for each in samples.values() if "label" in each and "predicted" in each]
    classes = sorted({name for pair in pairs for name in pair}, key=lambda name: (str(type(name)), name))
    if not pairs or len(classes) > MAX_CLASSES:
        return Markup()
    counts, of_label = Counter(pairs), Counter(label for label, _ in pairs)
    rows = [
        (
            element("th", label, scope="row"),
            *(
                element("td", f"{counts[label, guess]:,}", style=_shade(counts[label, guess] / max(of_label[label], 1)))
                if counts[label, guess]
                else element("td", "·")
                for guess in classes
            ),
        )
        for label in classes
    ]
    return element(
        "section",
        element("h2", "Confusion matrix"),
        table(("label \\ predicted", *classes), rows, class_="matrix"),
    )


def lengths_and_ends(samples: Mapping[str, Record]) -> Markup:
    """How long games or episodes were, and how they ended."""
    parts: list[object] = []
    for key, unit in _LENGTHS.items():
        values = [each[key] for each in samples.values() if isinstance(each.get(key), int | float)]
        if values:
            parts += [element("h2", f"Length in {unit}"), histogram(values, unit)]
    ends = Counter(_ending(each) for each in samples.values())
    ends.pop("", None)
    if ends:
        parts += [element("h2", "How they ended"), bars(ends.most_common())]
    return element("section", *parts) if parts else Markup()


def _ending(record: Record) -> str:
    if isinstance(record.get("termination"), str):
        return str(record["termination"])
    return next((key for key in ("terminated", "truncated") if record.get(key) is True), "")


def changed(evaluation: Evaluation, metric: str) -> Markup:
    """The samples that came out another way than the baseline's, those that lost most first."""
    found = []
    for sample_id, theirs in evaluation.baseline.items():
        ours = evaluation.samples.get(sample_id)
        if ours is None:
            continue
        after, before = ours.get("values", {}).get(metric), theirs.get("values", {}).get(metric)
        if isinstance(after, int | float) and isinstance(before, int | float) and after != before:
            found.append((after - before, sample_id, theirs, ours))
    if not evaluation.baseline:
        return Markup()
    found.sort(key=lambda each: (each[0], each[1]))
    worse, better = sum(each[0] < 0 for each in found), sum(each[0] > 0 for each in found)
    shared = len(evaluation.baseline.keys() & evaluation.samples.keys())
    keys = [key for key in _SHOWN_KEYS if any(key in ours for _, _, _, ours in found[:MAX_CHANGED])]
    rows = [
        (
            element("code", sample_id),
            f"{difference:+.4g}",
            *(_from_to(theirs.get(key), ours.get(key)) for key in keys),
        )
        for difference, sample_id, theirs, ours in found[:MAX_CHANGED]
    ]
    note = f"Of {shared:,} shared samples {worse:,} have a lower {metric} and {better:,} a higher one."
    if len(found) > MAX_CHANGED:
        note += f" The first {MAX_CHANGED} are shown."
    parts: list[object] = [
        element("h2", "Changed against the baseline, lowest first"),
        element("p", note, class_="note"),
    ]
    if rows:
        parts.append(table(("sample", metric, *keys), rows))
    return element("section", *parts)


def _from_to(before: Any, after: Any) -> str:
    return f"{after}" if before == after else f"{before} → {after}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _shade(share: float) -> str:
    return f"background: color-mix(in srgb, var(--accent) {round(100 * share * 0.75)}%, transparent)"
