"""Dropouts that a model's mode does not reach, from the rows."""

from __future__ import annotations

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.reader import Rows, place


def loose(rows: Rows) -> m.LooseDropouts | Missing:
    """Every line; none is a measurement, too."""
    if not rows["operation"]:
        return Missing("no forward pass was watched")
    lines = (rows.facts("window", "name", "functional-dropout") or {}).get("lines", [])
    return m.LooseDropouts(tuple(m.LooseDropout(**{**each, "location": place(each["location"])}) for each in lines))
