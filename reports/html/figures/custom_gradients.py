"""What the backward passes of the user's own functions give, against the slopes that were measured."""

import math

from dnndoctor.measurements import CustomGradient, CustomGradients
from dnndoctor.reports.html.figures.chart import brief
from dnndoctor.reports.html.figures.dots import Case, Point, plot
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.words import figure as number

TITLE = "Backward passes of your own"


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where no function could be checked."""
    custom = taken(measurements, CustomGradients)
    found = [each for each in custom.functions if each.ratio is not None and each.compared] if custom else []
    if not found:
        return None
    return drawn(
        "custom-gradients",
        TITLE,
        _caption(found),
        plot(
            [_case(each) for each in found],
            "gradient / slope",
            "dot: median of the entries, line: their spread",
            references=((1.0, "right"),),
        ),
        ("function", "gradient / slope", "spread", "entries moved", "wrong"),
        (
            (each.name, brief(each.ratio or 0.0), brief(each.spread or 0.0), number(each.compared), number(each.wrong))
            for each in found
        ),
        {"gradients", "activation-functions", "numerics"},
        {CustomGradients},
        section="model",
    )


def _case(one: CustomGradient) -> Case:
    ratio, spread = one.ratio or 0.0, one.spread or 0.0
    ends = (ratio - spread, ratio + spread) if math.isfinite(spread) else None
    point = Point(ratio, f"{one.name}: {brief(ratio)}", "flagged" if one.wrong else "own")
    return Case(one.name, (point,), ends, bool(one.wrong))


def _caption(found: list[CustomGradient]) -> str:
    wrong = [each for each in found if each.wrong]
    if not wrong:
        return "Every backward pass gives the slope of its function."
    worst = max(wrong, key=lambda each: each.wrong / max(each.sloped, 1))
    return (
        f"The backward pass of {worst.name} gives {brief(worst.ratio or 0.0)} times the slope, "
        f"and another gradient in {number(worst.wrong)} of {number(worst.sloped)} entries."
    )
