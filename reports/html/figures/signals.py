"""How the signal's spread and its largest values change from layer to layer."""

import math

from dnndoctor.measurements import Layers, Signal, Signals
from dnndoctor.reports.html.figures import rows
from dnndoctor.reports.html.figures.chart import brief, chosen
from dnndoctor.reports.html.figures.dots import Case, Point, plot
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, highlighted, taken
from dnndoctor.reports.words import figure as number

TITLE = "Signal by layer"
HALF_LIMIT = 65504.0  # the largest number that float16 holds


def draw(measurements: Measurements, flagged: frozenset[str]) -> Figure | None:
    """None where no layer's output was watched."""
    signals = taken(measurements, Signals)
    found = [each for each in signals.layers if len(each.steps)] if signals else []
    if not found:
        return None
    marked = [highlighted(each.layer, flagged) for each in found]
    kept = chosen(len(found), [i for i, each in enumerate(marked) if each])
    cases = [_case(found[i], marked[i]) for i in kept]
    top = max((float(v) for each in found for v in each.largest if math.isfinite(v)), default=0.0)
    levels = ((HALF_LIMIT, "float16 ends"),) if top > HALF_LIMIT / 100 else ()
    return drawn(
        "signals",
        TITLE,
        _caption(found) + rows.left_out(len(kept), len(found)),
        plot(
            cases,
            "output before the activation",
            (("ring", "spread at first"), ("own", "at last"), ("other", "largest")),
            log=True,
            references=levels,
        ),
        ("layer", "spread at first", "spread at last", "largest magnitude"),
        ((each.layer, *(number(v) for v in (*_ends(each), _largest(each)))) for each in found),
        {"weight-initialization", "numerics", "activation-functions"},
        {Signals, Layers},
        section="model",
    )


def _ends(signal: Signal) -> tuple[float, float]:
    return float(signal.unit_std[0]), float(signal.unit_std[-1])


def _largest(signal: Signal) -> float:
    return max(float(v) for v in signal.largest)


def _case(signal: Signal, flagged: bool) -> Case:
    first, last = _ends(signal)
    points = (
        Point(first, f"{signal.layer}: spread {number(first)} at first", "ring"),
        Point(last, f"{signal.layer}: spread {number(last)} at last", "flagged" if flagged else "own"),
        Point(_largest(signal), f"{signal.layer}: largest {number(_largest(signal))}", "other"),
    )
    return Case(signal.layer, points, (min(first, last), max(first, last)), flagged)


def _caption(found: list[Signal]) -> str:
    first, last = _ends(found[0])[0], _ends(found[-1])[0]
    if len(found) == 1 or not (first > 0 and last > 0):
        return f"A unit's output varies by {number(first)} from sample to sample before training."
    times = last / first
    way = f"{brief(times, 2)} times as large" if times >= 1 else f"{brief(1 / times, 2)} times smaller"
    return f"Before training the spread of a unit is {way} in the last layer as in the first.".replace(
        "smaller in the last layer as", "smaller in the last layer than"
    )
