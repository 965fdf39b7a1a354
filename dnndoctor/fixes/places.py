"""The node that a change is about."""

from __future__ import annotations

import ast

from dnndoctor.changes import Change
from dnndoctor.findings import Location
from dnndoctor.fixes.names import is_module
from dnndoctor.fixes.source import Refused, Source

_SIGNS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
Node = ast.Call | ast.BinOp | ast.AugAssign | ast.Subscript | ast.UnaryOp


def find(source: Source, place: Location, change: Change, argument: int | None = None) -> ast.AST:
    """The innermost fitting node that starts there, else the only one on the line, else what is assigned there."""
    fitting = [each for each in ast.walk(source.tree) if _fits(source, each, change, argument)]
    here = [each for each in fitting if starts(each) == (place.line, place.column)]
    if here:
        return min(here, key=lambda each: source.end(each) - source.start(each))
    on_line = [each for each in fitting if starts(each)[0] == place.line]
    assigned = _assigned(source, place)
    if assigned is not None and not change.of:
        return assigned
    if len(on_line) != 1:
        raise Refused("the call is not found at its line" if not on_line else "the line holds several such calls")
    return on_line[0]


def starts(node: ast.AST) -> tuple[int, int]:
    """Line and column, both from 1."""
    return node.lineno, node.col_offset + 1  # type: ignore[attr-defined]


def called(node: ast.AST) -> str:
    """The last name of what is called, or the operation's sign."""
    if isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Call):
            return f"{called(function)}()"
        return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if isinstance(node, (ast.BinOp, ast.AugAssign)):
        return _SIGNS.get(type(node.op), "")
    return "neg" if isinstance(node, ast.UnaryOp) else "[]"


def arguments(source: Source, node: ast.AST, method: bool) -> list[ast.expr]:
    """What it is given by place; the tensor that a method is called on comes first."""
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.AugAssign):
        return [node.target, node.value]
    if isinstance(node, ast.Subscript):
        return [node.value, node.slice]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if not isinstance(node, ast.Call):
        return []
    return [*([node.func.value] if _on_tensor(source, node, method) else []), *node.args]  # type: ignore[attr-defined]


def receives(source: Source, node: ast.AST, method: bool) -> int:
    """How many of the arguments stand before the parentheses."""
    return int(isinstance(node, ast.Call) and _on_tensor(source, node, method))


def _on_tensor(source: Source, node: ast.Call, method: bool) -> bool:
    return method and isinstance(node.func, ast.Attribute) and not is_module(source, node.func.value)


def _fits(source: Source, node: ast.AST, change: Change, argument: int | None) -> bool:
    if not isinstance(node, Node) or (isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.USub)):
        return False
    if change.of and called(node) not in change.of:
        return False
    if not change.of and not isinstance(node, ast.Call):
        return False
    given = arguments(source, node, change.method)
    return argument is None or (argument < len(given) and not isinstance(given[argument], ast.Starred))


def _assigned(source: Source, place: Location) -> ast.expr | None:
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and starts(node) == (place.line, place.column):
            return node.value
    return None
