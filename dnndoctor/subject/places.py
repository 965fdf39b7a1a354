"""Where the modules of a model that was built before anybody watched come from: the lines of its classes."""

from __future__ import annotations

import ast
import inspect
import linecache
from functools import cache
from typing import Any

from torch import nn

from dnndoctor.findings import Location
from dnndoctor.observe.source import absolute, is_user_file, relative


def built_at(model: nn.Module, otherwise: Location | None) -> dict[nn.Module, Location | None]:
    """Each module with the line that assigns it, or the nearest known one of those around it."""
    found: dict[nn.Module, Location | None] = {model: otherwise}
    nodes: dict[nn.Module, tuple[str, ast.AST] | None] = {model: None}
    for owner in list(model.modules()):
        for name, child in owner.named_children():
            if child in found:
                continue
            node = _assigned(type(owner), name) or _within(nodes.get(owner), name)
            nodes[child] = node
            found[child] = _place(node) or found.get(owner, otherwise)
    return found


def _place(node: tuple[str, ast.AST] | None) -> Location | None:
    if node is None:
        return None
    file, tree = node
    return Location(relative(file), getattr(tree, "lineno", 1), getattr(tree, "col_offset", 0) + 1)


def _assigned(owner: type, name: str) -> tuple[str, ast.AST] | None:
    """What a user's class assigns to ``self.name``."""
    for cls in owner.__mro__:
        file = _file(cls)
        if file is not None:
            value = _values(file, cls.__name__).get(name)
            if value is not None:
                return file, value
    return None


def _within(node: tuple[str, ast.AST] | None, name: str) -> tuple[str, ast.AST] | None:
    """The member of a ``Sequential(...)`` or ``ModuleList([...])`` that is written out in the source."""
    if node is None or not isinstance(node[1], ast.Call):
        return node
    members: list[Any] = list(node[1].args)
    if len(members) == 1 and isinstance(members[0], (ast.List, ast.Tuple)):
        members = list(members[0].elts)
    if len(members) == 1 and isinstance(members[0], (ast.ListComp, ast.GeneratorExp)):
        return node[0], members[0].elt
    if name.isdigit() and int(name) < len(members) and not any(isinstance(m, ast.Starred) for m in members):
        return node[0], members[int(name)]
    return node


def _file(cls: type) -> str | None:
    """The user's file, or notebook cell, that defines a class; by its code, since a cell's class names no file."""
    for member in vars(cls).values():
        code = getattr(inspect.unwrap(member), "__code__", None) if inspect.isfunction(member) else None
        if code is not None:
            return str(code.co_filename) if is_user_file(code.co_filename) else None
    return None


@cache
def _values(file: str, name: str) -> dict[str, ast.AST]:
    """What the class of that name assigns to attributes of ``self``, the first for each."""
    found: dict[str, ast.AST] = {}
    for cls in (n for n in ast.walk(_parsed(file)) if isinstance(n, ast.ClassDef) and n.name == name):
        for node in ast.walk(cls):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                        found.setdefault(target.attr, node.value)
    return found


def assigned_before(here: Location, name: str) -> Location | None:
    """The call whose result the variable ``name`` was given last before this line of the same file."""
    found = None
    for node in ast.walk(_parsed(absolute(here.file))):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and node.lineno <= here.line:
            names = {each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)}
            if name in names and (found is None or node.lineno > found.line):
                found = Location(here.file, node.value.lineno, node.value.col_offset + 1)
    return found


@cache
def _parsed(file: str) -> ast.Module:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return ast.Module([], [])
