"""What outputs depend on, from the rows."""

from __future__ import annotations

from typing import Any

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.reader import Row, Rows, place


def dependence(rows: Rows) -> m.Dependence | Missing:
    """What the probe found, for every model."""
    facts = rows.facts("probe", "name", "entry-mixing")
    if facts is None:
        return Missing("the model was not tried with samples exchanged")
    if "missing" in facts:
        return Missing(facts["missing"])
    return m.Dependence(
        tuple(_mixing(each["model"], each["mixing"]) for each in facts["models"] if "mixing" in each),
        tuple(_leak(each["model"], each["leak"]) for each in facts["models"] if "leak" in each),
    )


def _mixing(model: str, facts: Row) -> m.Mixing:
    plain = {key: facts[key] for key in ("entries", "tried", "effect", "others")}
    more: dict[str, Any] = {key: facts[key] for key in ("loaded", "shuffled", "clean_elsewhere") if key in facts}
    more["changes"] = tuple((sample, tuple(changes)) for sample, changes in facts.get("changes", ()))
    return m.Mixing(model, **plain, **more, shape=tuple(facts.get("shape", ())), passage=_passage(facts))


def _leak(model: str, facts: Row) -> m.FutureLeak:
    plain = {key: facts[key] for key in ("steps", "equal", "compared", "effect")}
    return m.FutureLeak(model, **plain, passage=_passage(facts))


def _passage(facts: Row) -> m.Passage | None:
    if "kind" not in facts:
        return None
    keys = ("operation", "layer", "layer_class", "batch_first", "alone")
    known: dict[str, Any] = {key: facts[key] for key in keys if key in facts}
    known |= {key: place(facts.get(key)) for key in ("location", "layer_location")}
    return m.Passage(facts["kind"], **known)
