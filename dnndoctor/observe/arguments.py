"""Finds an argument of a call in the user's source, so that a finding can point at it and not only at the call."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from dnndoctor.findings import Location
from dnndoctor.observe.source import absolute


def argument(call: Location | None, name: str) -> Location | None:
    """Where the call at this place is given the argument ``name``; None if it is not."""
    node = _call_at(call)
    return None if call is None or node is None else _keyword(call.file, node, name)


def gives(call: Location | None, name: str, position: int) -> bool:
    """Whether the call at this place is given the argument, by name or as one of its first; True if it is not found."""
    node = _call_at(call)
    if node is None or any(each.arg in (name, None) for each in node.keywords):
        return True
    return len(node.args) > position or any(isinstance(each, ast.Starred) for each in node.args)


def learning_rate(built: Location | None, optimizer: str, rates: Iterable[float]) -> Location | None:
    """Where the rate of the optimizer that was built at this place is written.

    A library that builds it is given the rate elsewhere: in the only argument of the user's file that can be it.
    """
    node = _call_at(built)
    if built is None or node is None:
        return None
    given = _keyword(built.file, node, "lr")
    if given is not None:
        return given
    if node.args and (_called(node) == optimizer or "param" in ast.unparse(node.args[0])):
        rate = node.args[1] if len(node.args) > 1 else None
        return None if rate is None else Location(built.file, rate.lineno, rate.col_offset + 1)
    return _only(built.file, ("lr", "learning_rate"), list(rates))


def peak_rate(built: Location | None, rate: float) -> Location | None:
    """Where the peak of a schedule over the optimizer that was built at this place is written."""
    return None if built is None else _only(built.file, ("max_lr",), [rate])


def _only(file: str, names: tuple[str, ...], values: list[float]) -> Location | None:
    """The only argument of one of these names in the file that can have one of these values."""
    given = [each for call in _calls(file) for each in call.keywords]
    found = [each for each in given if each.arg in names and _may_be(each.value, values)]
    return Location(file, found[0].lineno, found[0].col_offset + 1) if len(found) == 1 else None


def _may_be(value: ast.expr, rates: list[float]) -> bool:
    """A variable may hold any rate."""
    if isinstance(value, ast.Constant) and isinstance(value.value, (int, float)):
        return any(math.isclose(value.value, rate) for rate in rates)
    return True


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _call_at(place: Location | None) -> ast.Call | None:
    if place is None:
        return None
    here = (place.line, place.column)
    return next((each for each in _calls(place.file) if (each.lineno, each.col_offset + 1) == here), None)


def _keyword(file: str, call: ast.Call, name: str) -> Location | None:
    found = next((each for each in call.keywords if each.arg == name), None)
    return None if found is None else Location(file, found.lineno, found.col_offset + 1)


@cache
def assignment(file: str, name: str) -> Location | None:
    """Where a variable of this name is first assigned to."""
    name = name.partition("[")[0]
    for node in _assignments(file):
        names = {each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)}
        if name in names:
            return Location(file, node.lineno, node.col_offset + 1)
    return None


def attribute_set(file: str, name: str, first: int, last: int) -> Location | None:
    """Where between two lines ``self.name`` is first assigned to."""
    for node in ast.walk(_tree(file)):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or not first <= node.lineno < last:
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Attribute) and ast.unparse(target) == f"self.{name}":
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
