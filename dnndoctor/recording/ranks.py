"""The ranks of a process group, from the rows."""

from __future__ import annotations

from typing import Any

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.reader import Rows, place


def ranks(rows: Rows) -> m.Ranks:
    """All ranks; a world of one where no process group was seen."""
    facts = rows.facts("window", "name", "ranks")
    return _ranks(facts) if facts is not None else m.Ranks(world=1)


def flown_ranks(rows: Rows) -> m.Ranks | Missing:
    """Of a flight: what comparing the recordings of all ranks has told (``recording/launches.py``)."""
    world = rows.run.get("world") or 1
    if world < 2:
        return m.Ranks(world=1)
    compared = rows.run.get("ranks_compared")
    if compared is None:
        return Missing(f"it is the recording of one of {world} ranks; dnndoctor postmortem compares those in a folder")
    return _ranks(compared)


def _ranks(facts: dict[str, Any]) -> m.Ranks:
    lists = {key: tuple(value) for key, value in facts.items() if isinstance(value, list)}
    places = {key: place(facts[key]) for key in ("model", "data") if key in facts}
    return m.Ranks(**(facts | lists | places))
