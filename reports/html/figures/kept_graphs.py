"""Autograd graphs that grow from step to step."""

from dnndoctor.measurements import KeptGraphs
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.html.figures.lines import Curve, Panel, few, stacked
from dnndoctor.reports.words import figure as number

TITLE = "Size of the autograd graph"


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where every graph ends with its step: there is nothing to see then."""
    kept = taken(measurements, KeptGraphs)
    if kept is None or len(kept.step) < 2 or not (int(max(kept.back)) > 0 or kept.sums):
        return None
    at, nodes = [float(v) for v in kept.step], [float(v) for v in kept.nodes]
    caption = (
        f"From {number(nodes[0])} operations at step {number(at[0])} to {number(nodes[-1])} at step {number(at[-1])}, "
        f"back through {number(int(max(kept.back)))} earlier steps."
    )
    return drawn(
        "kept-graphs",
        TITLE,
        caption,
        stacked([Panel("operations that backward goes through", (Curve("", at, nodes),), zero=True)], "optimizer step"),
        ("step", "operations", "steps back"),
        ((number(at[i]), number(nodes[i]), number(int(kept.back[i]))) for i in few(len(at))),
        {"training-loop"},
        {KeptGraphs},
    )
