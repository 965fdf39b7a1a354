"""The ranks of a process group, from the rows."""

from __future__ import annotations

from dnndoctor import measurements as m
from dnndoctor.recording.reader import Rows


def ranks(rows: Rows) -> m.Ranks:
    """All ranks; a world of one where no process group was seen."""
    facts = rows.facts("window", "name", "ranks")
    if facts is None:
        return m.Ranks(world=1)
    known = {**facts, "differing": tuple(facts["differing"]), "own_seconds": tuple(facts["own_seconds"])}
    return m.Ranks(**known)
