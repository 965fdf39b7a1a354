"""Changes of whole statements."""

from __future__ import annotations

import ast
import textwrap
import tokenize
from io import StringIO

from dnndoctor.changes import Enclose, Hoist, InsertAfter, InsertBefore, MoveBehind, MoveStatement
from dnndoctor.findings import Location
from dnndoctor.fixes import names
from dnndoctor.fixes.places import arguments, find, starts
from dnndoctor.fixes.source import FUNCTIONS, LOOPS, Edit, Refused, Source
from dnndoctor.fixes.templates import fill, used

_LEAVING = (ast.Return, ast.Raise, ast.Continue, ast.Break)


def at_place(source: Source, place: Location) -> ast.stmt:
    """The innermost statement that holds the place."""
    found: ast.stmt | None = None
    for node in ast.walk(source.tree):
        if isinstance(node, ast.stmt) and node.lineno <= place.line <= (node.end_lineno or 0):
            inside = found is None or node.lineno >= found.lineno
            before = (node.lineno, node.col_offset + 1) <= (place.line, max(place.column, node.col_offset + 1))
            found = node if inside and before else found
    if found is None:
        raise Refused("there is no statement at the line")
    return found


def insert(source: Source, change: InsertBefore | InsertAfter, place: Location, new: list[str]) -> list[Edit]:
    """Lines of their own, indented as the statement is; ``new``: names that other changes bind."""
    after = isinstance(change, InsertAfter)
    if isinstance(change, InsertAfter) and change.unless and _calls(source, change.unless):
        return []
    anchor = source.around(at_place(source, place), change.loop)
    if after and isinstance(anchor, _LEAVING):
        raise Refused("what stands behind the statement is not reached")
    code = change.code
    if used(code):
        node = find(source, place, change)
        code = fill(source, code, arguments(source, node, change.method), node, getattr(node, "func", None))
    code, edits = names.spelled(source, code)
    names.require(source, code, anchor, new)
    for line in change.imports:
        if line.split()[-1] not in names.imported(source).values():
            edits.append(names.new_import(source, line))
    start, end = source.lines(anchor)
    at = end if after else start
    text = textwrap.indent(code, source.indent(anchor)).replace("\n", source.newline) + source.newline
    if after and not source.text[:at].endswith(("\n", "\r")):
        text = source.newline + text
    return [*edits, Edit(at, at, text)]


def _calls(source: Source, name: str) -> bool:
    """Whether a call of that name stands within a loop or function."""
    return any(
        isinstance(node, ast.Attribute) and node.attr == name and isinstance(source.parent(node), ast.Call)
        for outer in ast.walk(source.tree)
        if isinstance(outer, (*LOOPS, *FUNCTIONS))
        for node in ast.walk(outer)
    )


def enclose(source: Source, change: Enclose, place: Location) -> list[Edit]:
    """The lines go one level in, but for those within texts of several lines."""
    anchor = source.around(at_place(source, place), change.loop)
    header, edits = names.spelled(source, change.header)
    names.require(source, f"{header}\n    pass", anchor)
    start, end = source.lines(anchor)
    indent, unit = source.indent(anchor), source.unit()
    edits.append(Edit(start, start, f"{indent}{header}{source.newline}"))
    fixed = _within_texts(source)
    last = anchor.end_lineno or anchor.lineno
    for line in range(anchor.lineno, last + 1):
        at = source.offset(line, 0)
        behind = source.offset(line + 1, 0) if line < last else end
        if line not in fixed and source.text[at:behind].strip():
            edits.append(Edit(at, at, unit))
    return edits


def _within_texts(source: Source) -> set[int]:
    """Lines that begin inside of a text."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(StringIO(source.text).readline):
        if token.type in (tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)):
            found.update(range(token.start[0] + 1, token.end[0] + 1))
    return found


def remove(source: Source, place: Location) -> list[Edit]:
    """A block that is left empty gets ``pass``."""
    return [_without(source, at_place(source, place))]


def _without(source: Source, statement: ast.stmt) -> Edit:
    start, end = source.lines(statement)
    alone = len(source.block(statement)) == 1
    return Edit(start, end, f"{source.indent(statement)}pass{source.newline}" if alone else "")


def move(source: Source, change: MoveStatement, place: Location) -> list[Edit]:
    """Within one function, to the same block or through loops only."""
    statement, target = at_place(source, place), at_place(source, change.to)
    anchor = source.around(target, change.loop)
    if change.loop is not None and anchor is target:
        raise Refused("there is no loop around it")
    if anchor is statement or source.scope(statement) is not source.scope(anchor):
        raise Refused("the two stand in different functions")
    if source.block(statement) is not source.block(anchor) and not _through_loops(source, statement, anchor):
        raise Refused("a condition stands between the two")
    return _moved(source, statement, anchor, change.after)


def _through_loops(source: Source, statement: ast.stmt, anchor: ast.stmt) -> bool:
    """One block lies in the other, with nothing but loops and ``with`` between."""
    for inner, outer in ((statement, anchor), (anchor, statement)):
        block = source.block(outer)
        for each in source.parents(inner):
            if each in block:
                return isinstance(each, (*LOOPS, ast.With))
            if not isinstance(each, (*LOOPS, ast.With)):
                break
    return False


def _moved(source: Source, statement: ast.stmt, anchor: ast.stmt, after: bool) -> list[Edit]:
    start, end = source.lines(statement)
    first, last = source.lines(anchor)
    at = last if after else first
    text = source.text[start:end]
    lines = (
        textwrap.dedent(text)
        if _within_texts(source).isdisjoint(range(statement.lineno, statement.end_lineno or 0))
        else ""
    )
    if not lines:
        raise Refused("it holds a text of several lines")
    text = textwrap.indent(lines, source.indent(anchor))
    text = text if text.endswith(("\n", "\r")) else text + source.newline
    if after and not source.text[:at].endswith(("\n", "\r")):
        text = source.newline + text.rstrip("\r\n")
    return [_without(source, statement), Edit(at, at, text)]


def move_behind(source: Source, change: MoveBehind, place: Location) -> list[Edit]:
    """Behind the last statement of its block that binds the name; nothing between may use what it binds itself."""
    statement = at_place(source, place)
    block = source.block(statement)
    here = block.index(statement)
    later = [i for i in range(here + 1, len(block)) if change.name in _stores(block[i])]
    if not later:
        raise Refused(f"nothing behind it binds {change.name}")
    own = _stores(statement)
    for each in block[here + 1 : later[-1] + 1]:
        if any(isinstance(node, ast.Name) and node.id in own and node.id != change.name for node in ast.walk(each)):
            raise Refused("what it makes is used before")
    return _moved(source, statement, block[later[-1]], after=True)


def _stores(statement: ast.stmt) -> set[str]:
    return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def hoist(source: Source, change: Hoist, place: Location) -> list[Edit]:
    """Out of a method into ``__init__``."""
    call = find(source, place, change)
    method = source.scope(call)
    holder = source.scope(method) if isinstance(method, FUNCTIONS) else None
    if not isinstance(call, ast.Call) or not isinstance(holder, ast.ClassDef):
        raise Refused("it is built in no method")
    init = next((e for e in holder.body if isinstance(e, ast.FunctionDef) and e.name == "__init__"), None)
    if init is None or init is method:
        raise Refused("the class has no __init__")
    statement = source.statement(call)
    name = change.name
    if isinstance(statement, ast.Assign) and statement.value is call and isinstance(statement.targets[0], ast.Name):
        name = statement.targets[0].id
    if any(isinstance(n, ast.Attribute) and n.attr == name for n in ast.walk(holder)):
        raise Refused(f"self.{name} is taken")
    code = _there(source, call, init, change.arguments)
    last = init.body[-1]
    _, end = source.lines(last)
    line = f"{source.indent(last)}self.{name} = {code}{source.newline}"
    return [Edit(end, end, line), Edit(source.start(call), source.end(call), f"self.{name}")]


def _there(source: Source, call: ast.Call, init: ast.FunctionDef, arguments_there: str) -> str:
    """The call as it can stand at the end of ``__init__``."""
    code = source.code(call)
    known = {f"self.{n.attr}" for n in ast.walk(init) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
    wanted = {
        source.code(n) for n in ast.walk(call) if isinstance(n, ast.Attribute) and source.code(n).startswith("self.")
    }
    try:
        names.require(source, code, init.body[-1])
        if wanted <= known:
            return code
    except Refused:
        pass
    if not arguments_there:
        raise Refused("its arguments are not known in __init__")
    return f"{source.code(call.func)}({arguments_there})"


__all__ = ["at_place", "enclose", "hoist", "insert", "move", "move_behind", "remove", "starts"]
