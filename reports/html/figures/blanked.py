"""The same steps on the data and on zeros in its place."""

import math

import numpy as np
from numpy.typing import NDArray

from dnndoctor.measurements import BlankedInputs
from dnndoctor.reports.html.figures.chart import apart
from dnndoctor.reports.html.figures.dots import Case, Point, plot
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.html.figures.lines import Curve, Panel, ceiling, stacked
from dnndoctor.reports.words import figure as number

TITLE = "Training on the data and on zeros"


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where this was not tried."""
    tried = taken(measurements, BlankedInputs)
    if tried is None:
        return None
    return drawn(
        "blanked-inputs",
        TITLE,
        _caption(tried),
        _curves(tried) if len(tried.real_curve) and len(tried.blank_curve) else _dots(tried),
        ("inputs", f"loss after {tried.steps} steps"),
        (("the data", _end(tried.real)), ("zeros", _end(tried.blank)), ("before any step", number(tried.start))),
        {"training-data", "training-loop", "capacity", "learning-rate"},
        {BlankedInputs},
    )


def _end(value: float) -> str:
    return number(value) if math.isfinite(value) else "diverged"


def _caption(tried: BlankedInputs) -> str:
    real, blank, start = apart(tried.real, tried.blank, tried.start)
    real, blank = (words if math.isfinite(v) else "diverged" for words, v in ((real, tried.real), (blank, tried.blank)))
    ends = f"{real} on the data, {blank} on zeros, from {start}"
    error = tried.gap_error if math.isfinite(tried.gap_error) else 0.0
    gap = tried.blank - tried.real
    if math.isfinite(gap) and gap <= 2 * error:
        return f"The data teach the model nothing that zeros do not, within {tried.steps} steps: {ends}."
    return f"The model learns from its input: {ends} after {tried.steps} steps at {number(tried.rate)}."


def _curves(tried: BlankedInputs) -> tuple[list[str], float]:
    def curve(name: str, losses: NDArray[np.float64], kind: str) -> Curve:
        return Curve(name, [float(i) for i in range(len(losses))], [float(v) for v in losses], kind, dots=False)

    curves = (curve("the data", tried.real_curve, "own"), curve("zeros", tried.blank_curve, "other"))
    head = ceiling(tried.start, [v for each in curves for v in each.y])
    return stacked([Panel("loss", curves, None, ((tried.start, "before any step"),), head)], "step")


def _dots(tried: BlankedInputs) -> tuple[list[str], float]:
    both = (("the data", tried.real, "own"), ("zeros", tried.blank, "other"))
    cases = [Case(name, (Point(value, f"{name}: {_end(value)}", kind),)) for name, value, kind in both]
    return plot(cases, "loss", f"loss after {tried.steps} steps", references=((tried.start, "before any step"),))
