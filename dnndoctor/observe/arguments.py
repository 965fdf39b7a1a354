"""Finds an argument of a call in the user's source, so that a finding can point at it and not only at the call."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from dnndoctor.findings import Location
from dnndoctor.observe.source import absolute


def argument(call: Location | None, name: str, position: int | None = None) -> Location | None:
    """Where the call at this place is given the argument ``name`` (or its positional form); None if it is not."""
    if call is None:
        return None
    for node in _calls(call.file):
        if node.lineno == call.line and node.col_offset + 1 == call.column:
            for keyword in node.keywords:
                if keyword.arg == name:
                    return Location(call.file, keyword.lineno, keyword.col_offset + 1)
            if position is not None and len(node.args) > position:
                found = node.args[position]
                return Location(call.file, found.lineno, found.col_offset + 1)
    return None


@cache
def assignment(file: str, name: str) -> Location | None:
    """Where a variable of this name is first assigned to."""
    name = name.partition("[")[0]
    for node in _assignments(file):
        names = {each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)}
        if name in names:
            return Location(file, node.lineno, node.col_offset + 1)
    return None


@cache
def _assignments(file: str) -> tuple[ast.Assign, ...]:
    return tuple(node for node in ast.walk(_tree(file)) if isinstance(node, ast.Assign))


@cache
def _calls(file: str) -> tuple[ast.Call, ...]:
    return tuple(node for node in ast.walk(_tree(file)) if isinstance(node, ast.Call))


@cache
def _tree(file: str) -> ast.Module:
    try:
        return ast.parse(Path(absolute(file)).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], [])
