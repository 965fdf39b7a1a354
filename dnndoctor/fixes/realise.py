"""Changes of one finding as edits of its files' text."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from itertools import pairwise

from dnndoctor import changes as c
from dnndoctor.findings import Location
from dnndoctor.fixes import calls, statements, unwrapping
from dnndoctor.fixes.source import Edit, Refused, Source, applied

Sources = Callable[[str], Source]
Edits = dict[str, list[Edit]]


def realise(changes: Sequence[c.Change], location: Location | None, sources: Sources) -> Edits:
    """The edits by file, all changes together; raises Refused where any of them cannot be made."""
    if any(isinstance(each, c.MoveBehind) for each in changes) and len(changes) > 1:
        return _in_turn(changes, location, sources)
    found: Edits = {}
    new = [name for each in changes for name in _new_names(each)]
    for change in changes:
        if isinstance(change, c.FirstOf):
            edits = _first_of(change, location, sources)
        else:
            place = change.at or location
            if place is None:
                raise Refused("where it stands is not known")
            edits = {place.file: _one(sources(place.file), change, place, new)}
        for file, mine in edits.items():
            found.setdefault(file, []).extend(each for each in mine if each not in found.get(file, []))
    for file, edits_there in found.items():
        _check(sources(file), edits_there)
    return {file: edits for file, edits in found.items() if edits}


def _in_turn(changes: Sequence[c.Change], location: Location | None, sources: Sources) -> Edits:
    """One after the other, each on what the one before made of the statement, which moves at last."""
    place = changes[0].at or location
    if place is None:
        raise Refused("where it stands is not known")
    new = [name for each in changes for name in _new_names(each)]
    source = sources(place.file)
    text = source.text
    for change in changes:
        here = Source(text)
        edits = _one(here, change, change.at or place, new)
        _check(here, edits)
        text = applied(text, edits)
    return {place.file: [between(source.text, text)]}


def between(old: str, new: str) -> Edit:
    """The one edit that makes the new text of the old."""
    start = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    most = min(len(old), len(new)) - start
    same = next((i for i in range(most) if old[-1 - i] != new[-1 - i]), most)
    return Edit(start, len(old) - same, new[start : len(new) - same])


def _first_of(change: c.FirstOf, location: Location | None, sources: Sources) -> Edits:
    refused: Refused | None = None
    for option in change.options:
        try:
            return realise(option, change.at or location, sources)
        except Refused as why:
            refused = refused or why
    raise refused or Refused("there is nothing to do")


def _one(source: Source, change: c.Change, place: Location, new: list[str]) -> list[Edit]:
    match change:
        case c.SetArgument():
            return calls.set_argument(source, change, place, new)
        case c.RemoveArgument():
            return calls.remove_argument(source, change, place)
        case c.Unwrap():
            return unwrapping.unwrap(source, change, place)
        case c.Rename():
            return calls.rename(source, change, place)
        case c.Rewrite():
            return calls.rewrite(source, change, place)
        case c.InsertItem():
            return calls.insert_item(source, change, place)
        case c.InsertBefore() | c.InsertAfter():
            return statements.insert(source, change, place, new)
        case c.Enclose():
            return statements.enclose(source, change, place)
        case c.RemoveStatement():
            return statements.remove(source, place)
        case c.MoveStatement():
            return statements.move(source, change, place)
        case c.MoveBehind():
            return statements.move_behind(source, change, place)
        case c.Hoist():
            return statements.hoist(source, change, place)
    raise Refused(f"{type(change).__name__} is not known here")


def _new_names(change: c.Change) -> list[str]:
    """What code that is inserted binds; a statement that moves behind a name has that name."""
    if isinstance(change, c.MoveBehind):
        return [change.name]
    if not isinstance(change, (c.InsertBefore, c.InsertAfter)) or "{" in change.code:
        return []
    return [n.id for n in ast.walk(ast.parse(change.code)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def _check(source: Source, edits: list[Edit]) -> None:
    """Edits of one finding must not overlap, and what comes of them must parse."""
    ordered = sorted(edits)
    if any(one.end > other.start for one, other in pairwise(ordered)):
        raise Refused("its parts overlap")
    try:
        ast.parse(applied(source.text, edits))
    except SyntaxError as why:
        raise Refused(f"what comes of it does not parse: {why.msg}") from why
