"""The learning rate to the end of the planned run, as each scheduler will have it."""

import numpy as np
from numpy.typing import NDArray

from dnndoctor.measurements import Plan, Schedule, Schedules
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.html.figures.lines import Curve, Panel, few, stacked
from dnndoctor.reports.words import figure as number
from dnndoctor.reports.words import plural

TITLE = "Learning rate to the end of the run"
KINDS = ("own", "other", "third")


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where no scheduler could be run to the end of the plan."""
    schedules, plan = taken(measurements, Schedules), taken(measurements, Plan)
    shown = [each for each in schedules.all if len(each.rates) > 1][: len(KINDS)] if schedules else []
    if not shown:
        return None
    curves = [curve for index, each in enumerate(shown) for curve in _curves(each, KINDS[index])]
    unit = f"calls of the scheduler, once per {shown[0].per}" if shown[0].per else "calls of the scheduler"
    return drawn(
        "schedule",
        TITLE,
        _caption(shown, plan),
        stacked([Panel("learning rate", tuple(curves), log=False, zero=True)], unit),
        ("scheduler", "call", "learning rate"),
        ((each.name, number(round(at)), number(rate)) for each in shown for at, rate in _listed(each)),
        {"learning-rate", "epochs"},
        {Schedules},
        section="course",
    )


def _curves(one: Schedule, kind: str) -> list[Curve]:
    name = one.name + (" as it is called" if len(one.rates_per_epoch) or len(one.rates_per_step) else "")
    found = [Curve(name, _places(one, one.rates), [float(v) for v in one.rates], kind, dots=False)]
    for pace, rates in (("epoch", one.rates_per_epoch), ("step", one.rates_per_step)):
        if len(rates) > 1:
            values = [float(v) for v in rates]
            found.append(Curve(f"if called per {pace}", _places(one, rates), values, "quiet", dots=False))
    return found


def _places(one: Schedule, rates: NDArray[np.float64]) -> list[float]:
    """Where in the planned calls each rate lies, evenly spaced: also of the other pace, over the same run."""
    return [float(v) for v in np.linspace(0, one.planned or len(one.rates) - 1, len(rates))]


def _listed(one: Schedule) -> list[tuple[float, float]]:
    pairs = list(zip(_places(one, one.rates), (float(v) for v in one.rates), strict=True))
    return [pairs[i] for i in few(len(pairs), 24)]


def _caption(shown: list[Schedule], plan: Plan | None) -> str:
    words = []
    for each in shown:
        rates = [float(v) for v in each.rates]
        calls = f" over {plural(each.planned, 'call')}" if each.planned else ""
        way = f"from {number(rates[0])} to {number(rates[-1])}"
        peak = f", by way of {number(max(rates))}" if max(rates) > 1.01 * max(rates[0], rates[-1]) else ""
        stays = max(rates) - min(rates) <= 1e-3 * max(rates)
        words.append(
            f"{each.name} leaves the rate at {number(rates[0])}{calls}."
            if stays
            else f"{each.name} takes the rate {way}{peak}{calls}."
        )
    short = [each for each in shown if each.fails_after is not None]
    ends = f" {short[0].name} raises after {plural(short[0].fails_after or 0, 'call')}." if short else ""
    unknown = "" if plan and plan.steps else " How many steps the run has could not be read from the source."
    return " ".join(words) + ends + unknown
