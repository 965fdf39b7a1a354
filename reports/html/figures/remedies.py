"""Held-out loss with dropout, with weight decay, and as it is: paired, split by split."""

import numpy as np
from numpy.typing import NDArray

from dnndoctor.measurements import Overfitting, Remedies, Remedy
from dnndoctor.measurements.growth import sure
from dnndoctor.reports.html.figures.chart import apart, brief, gains
from dnndoctor.reports.html.figures.dots import Case, Point, plot
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.words import figure as number

TITLE = "Regularization tried"
ERRORS = 2.0  # standard errors that a gain has to stand clear of
WORDS = {"dropout": "dropout", "weight_decay": "weight decay"}


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where nothing was tried."""
    remedies, before = taken(measurements, Remedies), taken(measurements, Overfitting)
    if remedies is None or not remedies.tried:
        return None
    cases = [_case(_name(each), each.held_out_loss, "other") for each in remedies.tried]
    own = before.held_out_loss[:, -1] if before is not None and before.held_out_loss.size else None
    levels: list[tuple[float, str]] = []
    if own is not None:
        cases.insert(0, _case("as it is", own, "own"))
        levels = [(float(own.mean()), "")]
    return drawn(
        "regularization",
        TITLE,
        _caption(remedies, own),
        plot(
            cases,
            f"held-out loss after {remedies.steps} steps",
            "dots: one per split, line: their range",
            references=levels,
        ),
        ("training", *(f"split {i + 1}" for i in range(_splits(remedies))), "mean"),
        (
            *([_row("as it is", own, remedies)] if own is not None else []),
            *(_row(_name(each), each.held_out_loss, remedies) for each in remedies.tried),
        ),
        {"regularization"},
        {Remedies},
    )


def _splits(remedies: Remedies) -> int:
    return max(len(each.held_out_loss) for each in remedies.tried)


def _name(remedy: Remedy) -> str:
    return f"{WORDS.get(remedy.kind, remedy.kind)} {brief(remedy.value, 2)}"


def _case(name: str, losses: NDArray[np.float64], kind: str) -> Case:
    values = [float(v) for v in losses]
    points = tuple(Point(v, f"{name}: {number(v)}", kind) for v in values)
    return Case(name, points, (min(values), max(values)) if values else None)


def _row(name: str, losses: NDArray[np.float64], remedies: Remedies) -> tuple[str, ...]:
    values = [number(float(v)) for v in losses][: _splits(remedies)]
    return (name, *values, *([""] * (_splits(remedies) - len(values))), number(float(losses.mean())))


def _caption(remedies: Remedies, own: NDArray[np.float64] | None) -> str:
    best = min(remedies.tried, key=lambda each: float(each.held_out_loss.mean()))
    least, name = float(best.held_out_loss.mean()), _name(best)
    if own is None or len(own) != len(best.held_out_loss):
        return f"{name.capitalize()} comes out lowest: {brief(least)} on held-out samples."
    before, after = apart(float(own.mean()), least)
    if not sure(gains(own, best.held_out_loss), ERRORS):
        return (
            f"Nothing that was tried surely helps: the best, {name}, takes the held-out loss from {before} to {after}."
        )
    return f"{name.capitalize()} brings the held-out loss from {before} to {after}, in every split."
