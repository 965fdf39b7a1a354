"""The gradient's size in each weight, step by step."""

import math

import numpy as np
from numpy.typing import NDArray

from dnndoctor.measurements import Gradients, Weights
from dnndoctor.reports.html.figures import heat
from dnndoctor.reports.html.figures.chart import Scale, text, x_axis
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.html.figures.gradient_flow import of_weights
from dnndoctor.reports.words import figure as number
from dnndoctor.reports.words import plural

TITLE = "Gradients over the steps"
WIDE = 900
LEFT, RIGHT, TOP = 186, WIDE - 20, 30


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where fewer than two steps or weights were watched."""
    gradients, weights = taken(measurements, Gradients), taken(measurements, Weights)
    shown = of_weights(gradients, weights) if gradients else ()
    steps = sorted({int(step) for each in shown for step in each.steps})
    if len(shown) < 2 or len(steps) < 2:
        return None
    places = {step: column for column, step in enumerate(steps)}
    table = np.full((len(shown), len(steps)), np.nan)
    for row, each in enumerate(shown):
        table[row, [places[int(step)] for step in each.steps]] = each.rms
    if not (np.isfinite(table) & (table > 0)).any():
        return None
    names = [each.name for each in shown]
    return drawn(
        "gradient-heat",
        TITLE,
        _caption(names, table),
        _picture(names, steps, table),
        ("parameter", "first step", "median", "last step"),
        ((name, *(number(v) for v in _ends(row))) for name, row in zip(names, table, strict=True)),
        {"gradients", "numerics", "activation-functions"},
        {Gradients},
        section="model",
        width=WIDE,
    )


def _ends(row: NDArray[np.float64]) -> tuple[float, float, float]:
    usable = row[np.isfinite(row)]
    middle = float(np.median(usable)) if len(usable) else math.nan
    return float(row[0]), middle, float(row[-1])


def _caption(names: list[str], table: NDArray[np.float64]) -> str:
    usable = np.where(np.isfinite(table) & (table > 0), table, np.nan)
    silent = int(np.isnan(usable).all(1).sum())
    none = f" {plural(silent, 'weight')} got none." if silent else ""
    lost = int((~np.isfinite(table)).sum())
    broken = f" {plural(lost, 'cell')} without a finite one." if lost else ""
    low, high = float(np.nanmin(usable)), float(np.nanmax(usable))
    return f"Root mean square of {plural(len(names), 'gradient')}, {number(low)} to {number(high)}.{none}{broken}"


def _picture(names: list[str], steps: list[int], table: NDArray[np.float64]) -> tuple[list[str], float]:
    body, bottom, scale = heat.picture(table, names, LEFT, RIGHT, TOP, log=True)
    x = Scale(float(steps[0]), float(steps[-1]), LEFT, RIGHT)
    body.append(text("input at the top; one column per watched step", 8, 16, "label"))
    body.append(x_axis(x, round(bottom, 1), "optimizer step"))
    body += heat.color_key(scale, LEFT, RIGHT, round(bottom + 58, 1), "RMS (logarithmic)")
    return body, round(bottom + 58 + 36, 1)
