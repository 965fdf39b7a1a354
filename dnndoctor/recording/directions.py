"""The directions that hidden units vary in, from the rows."""

from __future__ import annotations

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.reader import Rows, place


def directions(rows: Rows) -> m.Directions | Missing:
    """Of every hidden activation of which enough was seen."""
    facts = rows.facts("window", "name", "directions")
    if facts is None:
        return Missing(f"{len(rows['step'])} steps were watched, too few to tell units in use from random ones")
    sites = ({**each, "location": place(each["location"])} for each in facts["sites"])
    return m.Directions(tuple(m.DirectionsInUse(**each) for each in sites))
