"""A source text before and after a finding's changes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from dnndoctor.changes import Change
from dnndoctor.findings import Finding, Fix, Location, Severity
from dnndoctor.fixes.files import Files
from dnndoctor.fixes.plan import plan
from dnndoctor.fixes.realise import realise
from dnndoctor.fixes.source import applied

FILE = "train.py"


def text(source: str) -> str:
    """A block of source without its margin."""
    return textwrap.dedent(source).lstrip("\n")


def at(source: str, words: str) -> Location:
    """Where the words begin for the first time; columns count bytes, as the interpreter's do."""
    before = source[: source.index(words)]
    line = before.count("\n") + 1
    return Location(FILE, line, len(before.rpartition("\n")[2].encode()) + 1)


def mended(source: str, changes: Sequence[Change], place: Location) -> str:
    """What the changes make of the source. Raises Refused."""
    files = Files(lambda _: source.encode())
    edits = realise(tuple(changes), place, files)
    return applied(source, edits.get(FILE, []))


def finding(changes: Sequence[Change], place: Location, rule: str = "LRN101", cause: str | None = None) -> Finding:
    """A finding with these changes in its fix."""
    fix = Fix("change it", changes=tuple(changes))
    return Finding("it is wrong", place, fix=fix, rule=rule, caused_by=cause, severity=Severity.WARNING)


__all__ = ["FILE", "at", "finding", "mended", "plan", "text"]
