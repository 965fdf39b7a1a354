"""Taking an operation away: a function's call becomes its argument, a layer is no longer called."""

from __future__ import annotations

import ast

from dnndoctor.changes import Unwrap
from dnndoctor.findings import Location
from dnndoctor.fixes import names
from dnndoctor.fixes.calls import taken_out
from dnndoctor.fixes.places import arguments, called, find
from dnndoctor.fixes.source import Edit, Refused, Source
from dnndoctor.fixes.templates import fitted


def unwrap(source: Source, change: Unwrap, place: Location) -> list[Edit]:
    """A layer is known by its capital letter."""
    node = find(source, place, change)
    if isinstance(node, ast.Call) and called(node)[:1].isupper():
        return _layer(source, node)
    given = arguments(source, node, change.method)
    if change.argument >= len(given):
        raise Refused("the call has no such argument")
    inner = given[change.argument]
    if change.holding and called(inner) not in change.holding:
        raise Refused(f"its argument is no call of {' or '.join(change.holding)}")
    return replaced(source, node, inner)


def replaced(source: Source, node: ast.AST, inner: ast.AST) -> list[Edit]:
    """The inner expression in the place of the whole; ``x = x`` goes."""
    code, statement = source.code(inner), source.statement(node)
    if (
        isinstance(statement, ast.Assign)
        and statement.value is node
        and [source.code(each) for each in statement.targets] == [code]
        and len(source.block(statement)) > 1
    ):
        return [Edit(*source.lines(statement), "")]
    return [Edit(source.start(node), source.end(node), fitted(source, node, code))]


def _layer(source: Source, call: ast.Call) -> list[Edit]:
    parent = source.parent(call)
    if isinstance(parent, ast.Call) and parent.func is call:
        if len(parent.args) != 1:
            raise Refused("the layer is called with several arguments")
        return replaced(source, parent, parent.args[0])
    if isinstance(parent, (ast.List, ast.Tuple)):
        return [taken_out(source, parent, call)]
    if isinstance(parent, ast.Call) and call in parent.args:
        if called(parent) == "append":
            start, end = source.lines(source.statement(parent))
            if len(source.block(source.statement(parent))) > 1:
                return [Edit(start, end, "")]
        elif called(parent) == "Sequential":
            return [taken_out(source, parent, call)]
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1:
        return _held(source, parent) or _identity(source, call)
    return _identity(source, call)


def _identity(source: Source, call: ast.Call) -> list[Edit]:
    code, edits = names.spelled(source, "torch.nn.Identity()")
    return [*edits, Edit(source.start(call), source.end(call), code)]


def _held(source: Source, assignment: ast.Assign) -> list[Edit]:
    """The layer's calls become their arguments, if it is only ever called; nothing if it is used otherwise."""
    target = source.code(assignment.targets[0])
    uses = [
        each
        for each in ast.walk(source.tree)
        if isinstance(each, (ast.Attribute, ast.Name)) and source.code(each) == target
        if each is not assignment.targets[0]
    ]
    if "." in target:
        mine = source.scope(source.scope(assignment))
        attribute = target.rpartition(".")[2]
        outside = [
            each
            for each in ast.walk(source.tree)
            if isinstance(each, ast.Attribute) and each.attr == attribute and mine not in source.parents(each)
        ]
        if not isinstance(mine, ast.ClassDef) or outside:
            return []
    calls = [source.parent(each) for each in uses]
    plain = all(isinstance(c, ast.Call) and c.func is u and len(c.args) == 1 for c, u in zip(calls, uses, strict=True))
    nested = any(other is not c and c in source.parents(other) for c in calls for other in calls if other and c)
    if not calls or not plain or nested or len(source.block(assignment)) < 2:
        return []
    start, end = source.lines(assignment)
    edits = [Edit(start, end, "")]
    for each in calls:
        assert isinstance(each, ast.Call)
        edits += replaced(source, each, each.args[0])
    return edits
