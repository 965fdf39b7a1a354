"""One row per case, its figures as points on a shared axis: what bars cannot show, since these axes need no zero."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dnndoctor.reports.html.figures import rows
from dnndoctor.reports.html.figures.chart import Scale, cross, dot, finite, line, tag, text, x_axis


@dataclass(frozen=True, slots=True)
class Point:
    """A figure of a case; ``kind``: "own", "other", "third" or "ring"."""

    value: float
    hint: str
    kind: str = "own"


@dataclass(frozen=True, slots=True)
class Case:
    """One row; ``span``: a range that its points lie in; ``flagged``: it stands out."""

    name: str
    points: tuple[Point, ...]
    span: tuple[float, float] | None = None
    flagged: bool = False


def plot(
    cases: Sequence[Case],
    label: str,
    key: str | Sequence[tuple[str, str]],
    *,
    log: bool = False,
    zero: bool = False,
    references: Sequence[tuple[float, str]] = (),
) -> tuple[list[str], float]:
    """The drawing's elements, and its height; ``key`` says what the points are, as kinds with words or in a line."""
    bottom = rows.bottom(len(cases))
    values = [point.value for case in cases for point in case.points] + [level for level, _ in references]
    values += [end for case in cases if case.span for end in case.span]
    x = Scale.fit([*values, *([0.0] if zero else [])], rows.LEFT, rows.RIGHT, log=log)
    body = [
        *_key(key),
        x_axis(x, bottom, label + (" (logarithmic)" if log else ""), rows.TOP),
        *rows.names([each.name for each in cases], [each.flagged for each in cases]),
    ]
    for level, words in references:
        if not finite([level], log=log):
            continue
        at = x(level)
        right = at < (rows.LEFT + rows.RIGHT) / 2
        body.append(line(at, rows.TOP - 4, at, bottom, "reference"))
        body.append(text(words, at + 5 if right else at - 5, rows.TOP + 6, "note", "start" if right else "end"))
    for row, case in enumerate(cases):
        body += _marks(case, rows.middle(row), x)
    return body, rows.height(len(cases))


def _key(key: str | Sequence[tuple[str, str]]) -> list[str]:
    if isinstance(key, str):
        return [text(key, 8, 16, "label")]
    parts, at = [], 8.0
    for kind, words in key:
        if kind:
            parts.append(
                tag("circle", cx=round(at + 5, 1), cy=12, r=4, class_="ring" if kind == "ring" else f"dot {kind}")
            )
            at += 15
        parts.append(text(words, round(at, 1), 16, "label"))
        at += 7.2 * len(words) + 14
    return parts


def _marks(case: Case, y: float, x: Scale) -> list[str]:
    parts = []
    if case.span is not None and all(math.isfinite(end) and (end > 0 or not x.log) for end in case.span):
        low, high = case.span
        parts.append(line(x(low), y, x(high), y, "range flagged" if case.flagged else "range"))
    for point in case.points:
        drawable = math.isfinite(point.value) and (point.value > 0 or not x.log)
        if drawable:
            parts.append(dot(x(point.value), y, point.hint, "ring" if point.kind == "ring" else f"dot {point.kind}"))
        else:
            parts.append(cross(rows.RIGHT if point.value > 0 else rows.LEFT, y, point.hint))
    return parts
