"""The ends of domains and ranges, from the rows."""

from __future__ import annotations

from dnndoctor import measurements as m
from dnndoctor.recording.reader import Rows, place


def domains(rows: Rows) -> m.Domains:
    """Functions of limited domain."""
    facts = rows.facts("window", "name", "domains") or {"met": []}
    return m.Domains(tuple(m.Domain(**{**each, "location": place(each["location"])}) for each in facts["met"]))


def half_precision(rows: Rows) -> m.HalfPrecision:
    """Operations in float16."""
    facts = rows.facts("window", "name", "half-precision") or {"places": []}
    places = tuple(m.HalfPlace(**{**each, "location": place(each["location"])}) for each in facts["places"])
    return m.HalfPrecision(places, bool(rows.run.get("scaled")))
