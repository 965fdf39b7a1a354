"""A comparison for other programs: JSON, version 1."""

from typing import Any, Literal

import msgspec

from dnndoctor import __version__
from dnndoctor.comparison import Change, Comparison
from dnndoctor.diagnosis import Diagnosis
from dnndoctor.reports import json as single
from dnndoctor.reports import schema as v1
from dnndoctor.reports.comparison import caution, facts


class Side(msgspec.Struct, frozen=True):
    """One of the two recordings."""

    recording: str | None
    target: v1.Target
    summary: v1.Summary


class Changed(msgspec.Struct, frozen=True):
    """A finding of one side; ``reason``: why its rule says nothing on the other, null where it passed there."""

    finding: v1.Finding
    reason: str | None


class Kept(msgspec.Struct, frozen=True):
    """A finding of both."""

    before: v1.Finding
    after: v1.Finding


class Turned(msgspec.Struct, frozen=True):
    """A practice with another verdict."""

    title: str
    before: str
    after: str


class Figure(msgspec.Struct, frozen=True):
    """A figure of each side; one that is not finite is spelled out, null was not measured."""

    name: str
    before: v1.Number | None
    after: v1.Number | None
    unit: str | None


class Compared(msgspec.Struct, frozen=True):
    """Two examinations side by side; ``unjudged``: found before, and not looked for after."""

    schema_version: Literal[1]
    tool: v1.Tool
    before: Side
    after: Side
    cautions: list[str]
    gone: list[Changed]
    came: list[Changed]
    stayed: list[Kept]
    unjudged: list[Changed]
    practices: list[Turned]
    figures: list[Figure]


def render(comparison: Comparison) -> str:
    """The comparison as indented JSON."""
    whole = Compared(
        schema_version=1,
        tool=v1.Tool("dnndoctor", __version__),
        before=_side(comparison.before),
        after=_side(comparison.after),
        cautions=list(caution(comparison)),
        gone=_changed(comparison.gone),
        came=_changed(comparison.came),
        stayed=[Kept(single.finding(each.before), single.finding(each.after)) for each in comparison.stayed],
        unjudged=_changed(comparison.unjudged),
        practices=[Turned(each.title, each.before.value, each.after.value) for each in comparison.turns],
        figures=[Figure(e.name, _number(e.before), _number(e.after), e.unit) for e in facts(comparison)],
    )
    return single.written(whole)


def schema() -> dict[str, Any]:
    """The JSON Schema that every comparison satisfies."""
    return {"$schema": single.DIALECT, "title": "dnndoctor comparison, version 1", **msgspec.json.schema(Compared)}


def _side(diagnosis: Diagnosis) -> Side:
    return Side(diagnosis.run.recording, single.target(diagnosis.target), single.summary(diagnosis))


def _changed(changes: tuple[Change, ...]) -> list[Changed]:
    return [Changed(single.finding(each.finding), each.reason) for each in changes]


def _number(value: float | None) -> v1.Number | None:
    return None if value is None else single.number(value)
