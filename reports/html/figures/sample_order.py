"""The targets in the order in which training takes the samples."""

import numpy as np

from dnndoctor.measurements import SampleOrder
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.html.figures.lines import Curve, Panel, few, stacked
from dnndoctor.reports.words import figure as number

TITLE = "Targets in the order of training"


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where the order is shuffled or was not looked at."""
    order = taken(measurements, SampleOrder)
    if order is None or order.shuffled or len(order.sequence) < 2:
        return None
    values = [float(v) for v in order.sequence]
    at = [float(v) for v in np.linspace(0, max(order.scanned - 1, 1), len(values))]
    kind = "class" if order.classes else "target"
    return drawn(
        "sample-order",
        TITLE,
        _caption(order),
        stacked(
            [Panel(kind, (Curve("", at, values, dots=len(values) <= 60),), log=False)], "sample, as training takes it"
        ),
        ("sample", kind),
        ((number(round(at[i])), number(values[i])) for i in few(len(values), 60)),
        {"shuffling", "training-data"},
        {SampleOrder},
        section="data",
    )


def _caption(order: SampleOrder) -> str:
    if order.sorted:
        return f"The {number(order.scanned)} samples that were looked at come sorted by their target."
    if order.classes:
        by_chance = f"in random order {order.expected_same:.0%} would be."
        same = f"{order.same_neighbour:.0%} of neighbours are of one class; {by_chance}"
        return same if abs(order.z) > 4 else f"The order tells nothing of the class: {same}"
    tells = f"Neighbours' targets correlate by {number(round(order.correlation, 2))}"
    return f"{tells}; in random order they would not." if abs(order.z) > 4 else f"{tells}, as little as chance gives."
