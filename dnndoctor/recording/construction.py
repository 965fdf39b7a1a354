"""Layers that no optimizer could find, from the rows."""

from __future__ import annotations

from dnndoctor import measurements as m
from dnndoctor.findings import Location
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.reader import Row, Rows, place


def construction(rows: Rows) -> m.Construction | Missing:
    """Unregistered layers and tensors, and layers that are built in a forward pass."""
    if not rows["operation"]:
        return Missing("no forward pass was watched")
    containers = (rows.facts("window", "name", "unregistered") or {}).get("containers", [])
    lines = (rows.facts("window", "name", "built-in-forward") or {}).get("lines", [])
    loose = (rows.facts("window", "name", "loose-tensors") or {}).get("attributes", [])
    parameters = {row["name"]: row for row in rows["parameter"]}
    return m.Construction(
        tuple(_unregistered(each, parameters) for each in containers),
        tuple(
            m.BuiltInForward(
                layer=each["class"],
                holder=each["holder"],
                location=place(each["location"]),
                parameters=each["entries"],
                kinds=tuple(each["kinds"]),
                steps=len(each["steps"]),
                times=each["built"],
                parts=tuple(Location(*part) for part in each["parts"]),
                arguments=each.get("arguments", ""),
            )
            for each in lines
        ),
        tuple(m.LooseTensors(**{**each, "location": place(each["location"])}) for each in loose),
    )


def _unregistered(facts: Row, parameters: dict[str, Row]) -> m.UnregisteredLayers:
    own = [parameters[name] for name in facts["parameters"] if name in parameters]
    learning = [row for row in own if row["trainable"] and row["facts"]["received_gradient"]]
    return m.UnregisteredLayers(
        holder=facts["holder"],
        attribute=facts["attribute"],
        container=facts["container"],
        location=place(facts["location"]),
        layers=tuple(facts["modules"]),
        learning=tuple(row["name"] for row in learning),
        left_out=tuple(row["name"] for row in learning if row["optimizer"] is None),
    )
