"""What a rule says to change."""

from __future__ import annotations

from dnndoctor.changes import Change, FirstOf
from dnndoctor.rule import Result


def changes(result: Result) -> tuple[Change, ...]:
    """Those of the first finding."""
    fix = result.findings[0].fix
    return fix.changes if fix is not None else ()


def only(result: Result) -> Change:
    """The only one of the first finding."""
    [one] = changes(result)
    return one


def options(change: Change) -> tuple[tuple[Change, ...], ...]:
    """What it chooses from."""
    assert isinstance(change, FirstOf)
    return change.options
