"""Curves over a shared horizontal axis, one panel below another: two vertical axes in one panel mislead."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dnndoctor.reports.html.figures.chart import (
    WIDTH,
    Scale,
    cross,
    dot,
    finite,
    flag,
    labels,
    line,
    polyline,
    ribbon,
    runs,
    shortened,
    tag,
    text,
    x_axis,
)
from dnndoctor.reports.words import figure as number

LEFT, RIGHT = 64, WIDTH - 20
HEAD = 26  # above a panel: its label
LEGEND = 20  # above a panel with several curves: a row of their names
FOOT = 48  # below the last panel: the axis
GAP = 18
MOST_DOTS = 60
MOST_POINTS = 280  # of a curve: about two pixels each
MOST_CROSSES = 40
MOST_TABLE = 120  # rows of numbers over steps


@dataclass(frozen=True, slots=True)
class Curve:
    """One line. ``kind``: "own" (the user's), "other", "third" or "quiet"; ``low``, ``high``: the range around it."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    kind: str = "own"
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    dots: bool = True


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves of one unit. ``log`` None: where the values ask for it. ``references``: levels with their names.

    ``ceiling``: values beyond it run along the upper edge, so that one that ran away does not flatten the others.
    """

    label: str
    curves: tuple[Curve, ...]
    log: bool | None = None
    references: tuple[tuple[float, str], ...] = ()
    ceiling: float | None = None
    zero: bool = False
    height: float = 200.0


def stacked(
    panels: Sequence[Panel], x_label: str, *, log_x: bool = False, flags: Sequence[tuple[float, str]] = ()
) -> tuple[list[str], float]:
    """The drawing's elements, and its height."""
    x = Scale.fit(
        [v for each in panels for curve in each.curves for v in curve.x] + [at for at, _ in flags],
        LEFT,
        RIGHT,
        log=log_x,
        pad=0.02,
    )
    body: list[str] = []
    top = 0.0
    for each in panels:
        made, top = _panel(each, x, top)
        body += made
        body += [flag(x(at), top - each.height, top, words) for at, words in flags]
        top += GAP
    bottom = top - GAP
    return [*body, x_axis(x, bottom, x_label)], bottom + FOOT


def _panel(panel: Panel, x: Scale, above: float) -> tuple[list[str], float]:
    named = [each for each in panel.curves if each.name]
    legend, used = _legend(named, above + HEAD + 12) if len(named) > 1 else ([], 0.0)
    top = above + HEAD + used
    bottom = top + panel.height
    values = [_capped(v, panel.ceiling) for each in panel.curves for v in _extent(each)]
    log = _spans_decades(values) if panel.log is None else panel.log
    levels = [level for level, _ in panel.references]
    y = Scale.fit([*values, *levels, *([0.0] if panel.zero and not log else [])], bottom, top, log=log, pad=0.06)
    body = [
        *_y_axis(y, panel.label + (" (logarithmic)" if log else ""), above + 16, 4 if panel.height > 100 else 2),
        *legend,
    ]
    body += [line(LEFT, y(level), RIGHT, y(level), "reference") for level, _ in panel.references]
    quiet_first = sorted(panel.curves, key=lambda curve: curve.kind != "quiet")
    body += [
        tag("g", *_curve(each, x, y, top), class_="series", data_name=each.name or panel.label) for each in quiet_first
    ]
    for level, words in panel.references:  # above the curves, which would cross them out
        at = y(level)
        body.append(text(words, RIGHT - 4, at - 6 if at > top + 16 else at + 16, "note", "end"))
    return body, bottom


def _extent(curve: Curve) -> list[float]:
    return [*finite(curve.y), *finite(curve.low or ()), *finite(curve.high or ())]


def _capped(value: float, ceiling: float | None) -> float:
    return value if ceiling is None or not math.isfinite(ceiling) else min(value, ceiling)


def _spans_decades(values: Sequence[float]) -> bool:
    usable = finite(values)
    return bool(usable) and min(usable) > 0 and max(usable) > 50 * min(usable)


def _y_axis(scale: Scale, label: str, label_at: float, most: int) -> list[str]:
    parts = [text(label, 8, label_at, "label")]
    ticks = scale.ticks(most)
    for tick, words in zip(ticks, labels(ticks), strict=True):
        parts.append(line(LEFT, scale(tick), RIGHT, scale(tick), "grid"))
        parts.append(text(words, LEFT - 8, scale(tick) + 4, "tick", "end"))
    return parts


def _legend(curves: Sequence[Curve], y: float) -> tuple[list[str], float]:
    """Names beside a piece of each line; as many rows as they need, and the height of these.

    Lines in the background are too many and too alike for names of their own.
    """
    parts, at, row = [], float(LEFT), 0
    quiet = [each for each in curves if each.kind == "quiet"]
    entries = [each for each in curves if each.kind != "quiet"]
    if quiet:
        entries.append(quiet[0] if len(quiet) == 1 else replace(quiet[0], name=f"{len(quiet)} others"))
    for each in entries:
        words = shortened(each.name, 40)
        width = 34 + 7.2 * len(words)
        if at + width > RIGHT and at > LEFT:
            at, row = float(LEFT), row + 1
        middle = y + row * LEGEND - 4
        parts.append(line(at, middle, at + 22, middle, f"line {each.kind}"))
        parts.append(text(words, at + 28, middle + 4, "legend"))
        at += width + 10
    return parts, (row + 1) * LEGEND + 4


def _curve(curve: Curve, x: Scale, y: Scale, top: float) -> list[str]:
    at, values, low, high = thinned(curve)
    parts = []
    if low is not None and high is not None:
        upper, lower = [], []
        for a, bottom, head in zip(at, low, high, strict=True):
            if math.isfinite(bottom) and math.isfinite(head):
                upper.append((x(a), y(head)))
                lower.append((x(a), y(bottom)))
        parts.append(ribbon(upper, lower, curve.kind))
    for stretch in runs(at, values, log=y.log):
        parts.append(polyline([(x(a), y(b)) for a, b in stretch], f"line {curve.kind}"))
        lone = len(stretch) == 1
        if (curve.dots and len(curve.x) <= MOST_DOTS) or lone:
            radius = 3.5 if len(curve.x) <= 15 or lone else 2.5
            parts += [dot(x(a), y(b), _hint(curve, a, b), f"dot {curve.kind}", radius) for a, b in stretch]
    lost = [(a, b) for a, b in zip(at, values, strict=True) if not math.isfinite(b) or (y.log and b <= 0)]
    parts += [cross(x(a), top, _hint(curve, a, b)) for a, b in lost[:MOST_CROSSES]]
    return parts


def _hint(curve: Curve, at: float, value: float) -> str:
    return f"{curve.name or 'at'} {number(at)}: {number(value)}"


Points = tuple[list[float], list[float], list[float] | None, list[float] | None]


def thinned(curve: Curve, most: int = MOST_POINTS) -> Points:
    """As many points as can be told apart: the median of neighbours, with the range that they came from around it.

    A value that is not finite keeps its place: it is why somebody looks at the curve.
    """
    at, values = [float(v) for v in curve.x], [float(v) for v in curve.y]
    if len(at) <= most:
        return at, values, _listed(curve.low), _listed(curve.high)
    groups = np.array_split(np.arange(len(at)), most)
    xs, ys = np.asarray(at), np.asarray(values)
    bottom = np.asarray(curve.low, float) if curve.low is not None else ys
    head = np.asarray(curve.high, float) if curve.high is not None else ys
    found: list[tuple[float, float, float, float]] = []
    for group in groups:
        usable = group[np.isfinite(ys[group])]
        if len(usable) < len(group):
            broken = group[~np.isfinite(ys[group])][0]
            found.append((float(xs[broken]), float(ys[broken]), math.nan, math.nan))
        if len(usable):
            low, high = np.nanquantile(bottom[usable], 0.1), np.nanquantile(head[usable], 0.9)
            found.append((float(np.median(xs[usable])), float(np.median(ys[usable])), float(low), float(high)))
    found.sort(key=lambda each: each[0])
    one, two, three, four = (list(column) for column in zip(*found, strict=True))
    return one, two, three, four


def _listed(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else [float(v) for v in values]


def ceiling(start: float, values: Sequence[float]) -> float | None:
    """Where curves that begin at ``start`` are cut off: some way above it, by how far they fall."""
    usable = finite(values)
    if not usable or not math.isfinite(start):
        return None
    return start + max(0.6 * (start - min(usable)), 0.05 * abs(start))


def few(count: int, most: int = MOST_TABLE, keep: Sequence[int] = ()) -> list[int]:
    """Which of ``count`` rows stand in a table: all, or evenly spaced ones, and those to ``keep``."""
    if count <= most:
        return list(range(count))
    even = (round(i * (count - 1) / (most - 1)) for i in range(most))
    return sorted({*even, *list(keep)[:most]})
