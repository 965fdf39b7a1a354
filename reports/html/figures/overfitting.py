"""Copies of the model trained with a part of the samples held out: both losses over the steps."""

import math

import numpy as np
from numpy.typing import NDArray

from dnndoctor.measurements import Overfitting
from dnndoctor.reports.html.figures.chart import apart, brief
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.html.figures.lines import Curve, Panel, stacked
from dnndoctor.reports.words import figure as number
from dnndoctor.reports.words import plural

TITLE = "Training and held-out loss"


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where nothing was held out."""
    found = taken(measurements, Overfitting)
    if found is None or not len(found.marks) or not len(found.held_out_loss):
        return None
    return drawn(
        "overfitting",
        TITLE,
        _caption(found),
        stacked(_panels(found), "step of a training on three quarters of the samples (logarithmic)", log_x=True),
        ("step", "training loss", "held-out loss", *(("training error", "held-out error") if _errors(found) else ())),
        _rows(found),
        {"regularization", "capacity", "epochs", "training-data", "pretraining", "visualisation"},
        {Overfitting},
        section="course",
    )


def _errors(found: Overfitting) -> bool:
    return found.training_error is not None and found.held_out_error is not None


def _mean(table: NDArray[np.float64]) -> list[float]:
    return [float(v) for v in table.mean(0)]


def _rows(found: Overfitting) -> list[tuple[str, ...]]:
    columns = [_mean(found.training_loss), _mean(found.held_out_loss)]
    if found.training_error is not None and found.held_out_error is not None:
        columns += [_mean(found.training_error), _mean(found.held_out_error)]
    return [
        (number(int(mark)), *(brief(v) for v in values)) for mark, *values in zip(found.marks, *columns, strict=True)
    ]


def _caption(found: Overfitting) -> str:
    held, trained = _mean(found.held_out_loss), _mean(found.training_loss)
    best, last = found.best, len(held) - 1
    ends = f"{number(trained[-1])} on what it trains on, {number(held[-1])} on the rest"
    epochs = f" after {brief(found.epochs, 2)} epochs" if math.isfinite(found.epochs) else ""
    splits = plural(len(found.held_out_loss), "split")
    if best < last and held[-1] > held[best]:
        least, end = apart(held[best], held[-1])
        low = f"{least} at step {number(int(found.marks[best]))}"
        return f"The held-out loss is lowest, {low}, and ends at {end}; mean of {splits}."
    return f"The held-out loss still falls at the end: {ends}{epochs}; mean of {splits}."


def _panels(found: Overfitting) -> list[Panel]:
    at = [float(v) for v in found.marks]

    def curve(name: str, table: NDArray[np.float64], kind: str) -> Curve:
        low, high = [float(v) for v in table.min(0)], [float(v) for v in table.max(0)]
        return Curve(name, at, _mean(table), kind, low, high)

    start = ((found.start, "held out, before any step"),) if math.isfinite(found.start) else ()
    losses = (curve("training", found.training_loss, "own"), curve("held out", found.held_out_loss, "other"))
    panels = [Panel("loss: mean of the splits, lowest to highest", losses, references=start)]
    if found.training_error is not None and found.held_out_error is not None:
        errors = (curve("", found.training_error, "own"), curve("", found.held_out_error, "other"))
        panels.append(Panel("share of wrong classes", errors, log=False, zero=True, height=110.0))
    return panels
