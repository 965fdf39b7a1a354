"""How far each weight is moved per step, relative to its size, layer by layer."""

import math

import numpy as np

from dnndoctor.measurements import Gradients, ParameterGradient, Weights
from dnndoctor.reports.html.figures import rows
from dnndoctor.reports.html.figures.chart import brief, chosen
from dnndoctor.reports.html.figures.dots import Case, Point, plot
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, highlighted, taken
from dnndoctor.reports.html.figures.gradient_flow import of_weights
from dnndoctor.reports.html.figures.update_ratio import CUSTOMARY
from dnndoctor.reports.words import figure as number

TITLE = "Update-to-weight ratio by layer"

Span = tuple[float, float, float]  # smallest, median and largest over the steps


def draw(measurements: Measurements, flagged: frozenset[str]) -> Figure | None:
    """None where no update was measured, or of one weight only."""
    gradients, weights = taken(measurements, Gradients), taken(measurements, Weights)
    found = [(each, span) for each in (of_weights(gradients, weights) if gradients else ()) if (span := _span(each))]
    if len(found) < 2:
        return None
    marked = [highlighted(each.name, flagged) for each, _ in found]
    kept = chosen(len(found), [i for i, each in enumerate(marked) if each])
    cases = [_case(found[i][0].name, found[i][1], marked[i]) for i in kept]
    return drawn(
        "update-flow",
        TITLE,
        _caption(found) + rows.left_out(len(kept), len(found)),
        plot(
            cases,
            "update / weight",
            "input at the top; dot: median over the steps, line: smallest to largest",
            log=True,
            references=((CUSTOMARY, "customary"),),
        ),
        ("parameter", "smallest", "median", "largest"),
        ((each.name, *(number(v) for v in span)) for each, span in found),
        {"learning-rate", "learning-method", "pretraining"},
        {Gradients},
        section="model",
    )


def _span(one: ParameterGradient) -> Span | None:
    usable = [float(v) for v in one.ratio if math.isfinite(v) and v > 0]
    return (min(usable), float(np.median(usable)), max(usable)) if usable else None


def _case(name: str, span: Span, flagged: bool) -> Case:
    low, middle, high = span
    point = Point(middle, f"{name}: {number(middle)} per step", "flagged" if flagged else "own")
    return Case(name, (point,), (low, high), flagged)


def _caption(found: list[tuple[ParameterGradient, Span]]) -> str:
    slowest, fastest = (pick(found, key=lambda each: each[1][1]) for pick in (min, max))
    times = fastest[1][1] / slowest[1][1]
    if not math.isfinite(times) or times < 1.05:
        return "All weights change alike."
    return f"{fastest[0].name} changes {brief(times, 2)} times as fast as {slowest[0].name}, relative to their sizes."
