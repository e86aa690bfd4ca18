"""Pictures as SVG: intervals, a curve over training steps, bars."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hantei_evaluator.export.report.markup import Markup, element

WIDTH = 720
LABELS = 170
VALUES = 220
ROW = 26
_TARGET_TICKS = 5


@dataclass(frozen=True)
class Estimate:
    """A number with its interval; without one, low and high are the number itself."""

    label: str
    value: float
    low: float
    high: float
    text: str


def intervals(estimates: Sequence[Estimate], *, mark: float | None = None) -> Markup:
    """Each estimate as a dot on its interval, on one scale; ``mark`` is a line that matters, such as no difference."""
    values = [each.low for each in estimates] + [each.high for each in estimates] + ([mark] if mark is not None else [])
    scale = _Scale.of(values, LABELS, WIDTH - VALUES)
    height = ROW * len(estimates) + 28
    parts = _axis(scale, height)
    if mark is not None:
        parts.append(_line(scale.at(mark), 0, scale.at(mark), height - 24, "mark"))
    for number, each in enumerate(estimates):
        y = ROW * number + 15
        parts += [
            element("text", each.label, x=LABELS - 10, y=y + 4, class_="label"),
            _line(scale.at(each.low), y, scale.at(each.high), y, "interval"),
            element(
                "circle", element("title", f"{each.label}: {each.text}"), cx=_px(scale.at(each.value)), cy=y, r=4.5
            ),
            element("text", each.text, x=WIDTH - VALUES + 12, y=y + 4),
        ]
    return _svg(height, "Estimates with their intervals", parts)


@dataclass(frozen=True)
class Point:
    """An estimate at a training step."""

    step: int
    estimate: Estimate


def curve(points: Sequence[Point]) -> Markup:
    """Estimates over training steps, each with its interval."""
    height, left, top = 280, 70, 12
    across = _Scale.of([point.step for point in points], left, WIDTH - 30)
    lows, highs = [point.estimate.low for point in points], [point.estimate.high for point in points]
    up = _Scale.of([*lows, *highs], height - 34, top)
    parts: list[Markup] = []
    for tick in up.ticks():
        y = up.at(tick)
        parts += [
            _line(left, y, WIDTH - 20, y, "grid"),
            element("text", f"{tick:g}", x=left - 8, y=_px(y + 4), class_="label"),
        ]
    for tick in across.ticks():
        parts.append(element("text", f"{tick:,.0f}", x=_px(across.at(tick)), y=height - 12, class_="tick"))
    path = " ".join(f"{across.at(each.step):.1f},{up.at(each.estimate.value):.1f}" for each in points)
    parts.append(element("polyline", points=path, class_="curve"))
    for each in points:
        x = across.at(each.step)
        parts += [
            _line(x, up.at(each.estimate.low), x, up.at(each.estimate.high), "interval"),
            element(
                "circle",
                element("title", f"step {each.step:,}: {each.estimate.text}"),
                cx=_px(x),
                cy=_px(up.at(each.estimate.value)),
                r=4.5,
            ),
        ]
    return _svg(height, "The score over training steps", parts)


def bars(counts: Sequence[tuple[str, int]]) -> Markup:
    """Counts by name, as lying bars."""
    most = max((count for _, count in counts), default=0) or 1
    room = WIDTH - LABELS - 90
    parts: list[Markup] = []
    for number, (name, count) in enumerate(counts):
        y = ROW * number + 4
        parts += [
            element("text", name, x=LABELS - 10, y=y + 14, class_="label"),
            element("rect", x=LABELS, y=y, width=_px(max(room * count / most, 1)), height=ROW - 8, class_="bar"),
            element("text", f"{count:,}", x=_px(LABELS + room * count / most + 8), y=y + 14),
        ]
    return _svg(ROW * len(counts) + 8, "Counts", parts)


def histogram(values: Sequence[float], unit: str) -> Markup:
    """How often which length came up, in at most 24 bins of whole numbers."""
    lowest, highest = math.floor(min(values)), math.floor(max(values))
    width = max(math.ceil((highest - lowest + 1) / 24), 1)
    counts = [0] * ((highest - lowest) // width + 1)
    for value in values:
        counts[(math.floor(value) - lowest) // width] += 1
    height, left = 170, 50
    column = (WIDTH - left - 20) / len(counts)
    most = max(counts)
    parts: list[Markup] = [element("text", f"{most:,}", x=left - 8, y=16, class_="label")]
    for number, count in enumerate(counts):
        start = lowest + number * width
        tall = (height - 45) * count / most
        title = element("title", f"{start:,} to {start + width - 1:,} {unit}: {count:,}")
        x = left + column * number
        parts.append(
            element(
                "rect",
                title,
                x=_px(x),
                y=_px(height - 30 - tall),
                width=_px(column * 0.92),
                height=_px(tall),
                class_="bar",
            )
        )
        if number % max(len(counts) // 8, 1) == 0:
            parts.append(element("text", f"{start:,}", x=_px(x), y=height - 12))
    return _svg(height, f"Distribution of {unit}", parts)


@dataclass(frozen=True)
class _Scale:
    """Values to pixels."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def of(cls, values: Sequence[float], start: float, end: float) -> "_Scale":
        low, high = min(values), max(values)
        room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
        return cls(low - room, high + room, start, end)

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round numbers inside: 1, 2 or 5 times a power of ten apart."""
        rough = (self.high - self.low) / _TARGET_TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        first = math.ceil(self.low / step)
        return [round(number * step, 12) for number in range(first, math.floor(self.high / step) + 1)]


def _axis(scale: _Scale, height: float) -> list[Markup]:
    parts = []
    for tick in scale.ticks():
        x = scale.at(tick)
        parts += [
            _line(x, 0, x, height - 24, "grid"),
            element("text", f"{tick:g}", x=_px(x), y=height - 8, class_="tick"),
        ]
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return element("line", x1=_px(x1), y1=_px(y1), x2=_px(x2), y2=_px(y2), class_=kind)


def _px(value: float) -> str:
    return f"{value:.1f}"


def _svg(height: float, title: str, parts: Sequence[Markup]) -> Markup:
    return element(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height:g}",
        role="img",
        aria_label=title,
    )
