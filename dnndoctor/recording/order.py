"""Facts about a loop's calls, from the windows' rows."""

from __future__ import annotations

import numpy as np

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.reader import Rows, place


def kept_graphs(rows: Rows) -> m.KeptGraphs | Missing:
    """How graphs grow."""
    facts = rows.facts("window", "name", "kept-graphs")
    if facts is None:
        return Missing("no backward pass was followed")
    table = np.asarray(facts["walked"], np.int64).reshape(-1, 3)
    sums = tuple(m.KeptSum(place(each["location"]), each["steps"]) for each in facts["sums"])
    step, nodes, back = table.T
    carried, location = place(facts["carried"]), place(facts["backward"])
    argument, form = facts.get("carried_as") or (None, "")
    return m.KeptGraphs(step, nodes, back, sums, carried, location, argument, form)


def clip_order(rows: Rows) -> m.ClipOrder:
    """When gradients are clipped; none of them where no clipping was seen."""
    facts = rows.facts("window", "name", "clip-order")
    if facts is None:
        return m.ClipOrder(0, 0)
    return m.ClipOrder(facts["steps"], facts["in_vain"], place(facts["location"]))


def piled_gradients(rows: Rows) -> m.PiledGradients:
    """Gradients outside of all optimizers."""
    facts = rows.facts("window", "name", "piled-gradients") or {"models": []}
    found = []
    for each in facts["models"]:
        table = np.asarray(each["norms"], np.float64).reshape(-1, 2)
        found.append(
            m.PiledGradient(
                each["model"],
                table[:, 0].astype(np.int64),
                table[:, 1],
                each["parameters"],
                each["copy_of"],
                place(each["location"]),
                place(each["call"]),
            )
        )
    return m.PiledGradients(tuple(found))


def seeds(rows: Rows) -> m.Seeds | Missing:
    """Random streams and their seeds."""
    facts = rows.facts("window", "name", "seeds")
    if facts is None:
        return Missing("fewer than two steps were seen")
    return m.Seeds(tuple(facts["drawn"]), tuple(facts["seeded"]))
