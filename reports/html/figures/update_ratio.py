"""How far each step moves the weights, relative to their size."""

import math

import numpy as np

from dnndoctor.measurements import Gradients
from dnndoctor.reports.html.figures.chart import (
    WIDTH,
    Scale,
    dot,
    drawing,
    line,
    polyline,
    ribbon,
    text,
    x_axis,
    y_axis,
)
from dnndoctor.reports.html.figures.figure import Figure, Measurements, taken
from dnndoctor.reports.words import figure as number
from dnndoctor.reports.words import plural

TITLE = "Update-to-weight ratio over the steps"
LEFT, RIGHT, TOP, BOTTOM, HEIGHT = 64, WIDTH - 20, 30, 242, 290
CUSTOMARY = 1e-3  # Karpathy's rule of thumb; healthy runs lie within a decade or two of it

Quantiles = tuple[float, float, float, float]  # step, 10th percentile, median, 90th percentile over parameters


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where no update was measured."""
    gradients = taken(measurements, Gradients)
    points = _quantiles(gradients) if gradients else []
    if not points:
        return None
    caption = _caption(points)
    return Figure(
        "figure-update-ratio",
        TITLE,
        caption,
        drawing("figure-update-ratio", HEIGHT, TITLE, caption, _body(points)),
        ("step", "10th percentile", "median", "90th percentile"),
        tuple(tuple(number(each) for each in point) for point in points),
        frozenset({"learning-method", "learning-rate"}),
        frozenset({Gradients}),
    )


def _quantiles(gradients: Gradients) -> list[Quantiles]:
    by_step: dict[int, list[float]] = {}
    for each in gradients.by_parameter:
        for step, ratio in zip(each.steps, each.ratio, strict=True):
            if math.isfinite(ratio) and ratio > 0:
                by_step.setdefault(int(step), []).append(float(ratio))
    found = []
    for step in sorted(by_step):
        low, middle, high = np.quantile(by_step[step], (0.1, 0.5, 0.9))
        found.append((float(step), float(low), float(middle), float(high)))
    return found


def _caption(points: list[Quantiles]) -> str:
    middle = float(np.median([each[2] for each in points]))
    return (
        f"A step changes the median parameter by {number(100 * middle)} % of its size, over "
        f"{plural(len(points), 'watched step')}; about 0.1 % is customary."
    )


def _body(points: list[Quantiles]) -> list[str]:
    x = Scale.fit([each[0] for each in points], LEFT, RIGHT)
    y = Scale.fit([CUSTOMARY, *(value for each in points for value in each[1:])], BOTTOM, TOP, log=True)
    median = [(x(step), y(middle)) for step, _, middle, _ in points]
    body = [
        x_axis(x, BOTTOM, "optimizer step"),
        y_axis(y, LEFT, RIGHT, "update / weight (logarithmic): median, 80 % of the parameters"),
        line(LEFT, y(CUSTOMARY), RIGHT, y(CUSTOMARY), "reference"),
        text("customary", RIGHT - 4, y(CUSTOMARY) - 6, "note", "end"),
        ribbon([(x(s), y(high)) for s, _, _, high in points], [(x(s), y(low)) for s, low, _, _ in points]),
        polyline(median),
    ]
    marks = zip(median, points, strict=True)
    return [*body, *(dot(*at, f"step {number(p[0])}: median {number(p[2])}", radius=2.5) for at, p in marks)]
