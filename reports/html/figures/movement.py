"""How far loaded weights are moved from what was loaded."""

from dnndoctor.measurements import Origins
from dnndoctor.reports.html.figures.chart import brief
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.html.figures.lines import Curve, Panel, few, stacked
from dnndoctor.reports.words import figure as number
from dnndoctor.reports.words import plural

TITLE = "Distance from the loaded weights"


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where no loaded weight is trained."""
    origins = taken(measurements, Origins)
    moved = origins.movement if origins else None
    if moved is None or not moved.steps:
        return None
    shares = [100 * each for each in moved.shares]
    steps = [float(each) for each in moved.steps]
    after = f"After {plural(int(steps[-1]) + 1, 'step')}"
    caption = f"{after} the loaded weights have moved by {brief(shares[-1])} % of their norm."
    return drawn(
        "movement",
        TITLE,
        caption,
        stacked([Panel("change over what was loaded, %", (Curve("", steps, shares),), zero=True)], "optimizer step"),
        ("step", "change, %"),
        ((number(steps[i]), brief(shares[i])) for i in few(len(steps))),
        {"pretraining", "learning-rate"},
        {Origins},
    )
