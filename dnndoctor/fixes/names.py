"""What names mean in a file: what its imports bind, what is bound where, and what new code may say."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable

from dnndoctor.fixes.source import FUNCTIONS, LOOPS, Edit, Refused, Source

_TORCH = re.compile(r"\btorch(?:\.\w+)+")


def imported(source: Source) -> dict[str, str]:
    """The dotted names that module-level imports bind, with what they are called here."""
    found: dict[str, str] = {}
    for node in source.tree.body:
        if isinstance(node, ast.Import):
            for each in node.names:
                top = each.name.partition(".")[0]
                found[each.name if each.asname else top] = each.asname or top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{each.name}": each.asname or each.name for each in node.names}
    return found


def is_module(source: Source, node: ast.expr) -> bool:
    """Whether an expression is what an import binds, or a part of it: ``F`` in ``F.relu``."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in imported(source).values()


def spelled(source: Source, code: str) -> tuple[str, list[Edit]]:
    """The code with torch's full names as the file calls them, and imports that it lacks for them."""
    known, edits = imported(source), list[Edit]()

    def short(match: re.Match[str]) -> str:
        parts = match[0].split(".")
        for size in range(len(parts), 0, -1):
            if (name := known.get(".".join(parts[:size]))) is not None:
                return ".".join((name, *parts[size:]))
        beside = beside_others(source, ".".join(parts[:-1]), parts[-1])
        if beside is not None:
            edits.append(beside)
            return parts[-1]
        edits.append(new_import(source, "import torch"))
        known["torch"] = "torch"
        return match[0]

    return _TORCH.sub(short, code), edits


def beside_others(source: Source, module: str, name: str) -> Edit | None:
    """The name put into the file's ``from module import ...``, if it has one."""
    for node in source.tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == module:
            if any(each.name == "*" for each in node.names):
                return None
            last = source.end(node.names[-1])
            return Edit(last, last, f", {name}")
    return None


def new_import(source: Source, line: str) -> Edit:
    """A line behind the file's last import at its top."""
    body = source.tree.body
    imports = [each for each in body if isinstance(each, (ast.Import, ast.ImportFrom))]
    if imports:
        _, at = source.lines(imports[-1])
    elif body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        _, at = source.lines(body[0])
    else:
        at = 0
    return Edit(at, at, line + source.newline)


def require(source: Source, code: str, at: ast.stmt, new: Iterable[str] = ()) -> None:
    """Raises Refused where code that stands at the statement would use a name that is not bound there."""
    tree = ast.parse(code)
    own = {name for node in ast.walk(tree) for name in _bound(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            name = node.id
            if name not in own and name not in new and not _visible(source, name, at) and not hasattr(builtins, name):
                raise Refused(f"{name} is not known there")


def _visible(source: Source, name: str, at: ast.stmt) -> bool:
    scope: ast.AST = source.scope(at)
    if _binds(source, scope, name, before=at):
        return True
    while not isinstance(scope, ast.Module):
        scope = source.scope(scope)
        # What an outer scope binds, it may bind before the inner one runs.
        if not isinstance(scope, ast.ClassDef) and _binds(source, scope, name, before=None):
            return True
    return False


def _binds(source: Source, scope: ast.AST, name: str, before: ast.stmt | None) -> bool:
    if isinstance(scope, FUNCTIONS):
        arguments = scope.args
        given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        if any(each is not None and each.arg == name for each in given):
            return True
    for node in ast.walk(scope):
        if name not in _bound(node) or not (isinstance(node, ast.stmt) or source.scope(node) is scope):
            continue
        if node is scope or source.scope(node) is not scope:
            continue
        if before is None or node.lineno < before.lineno or _same_loop(source, node, before):  # type: ignore[attr-defined]
            return True
    return False


def _same_loop(source: Source, node: ast.AST, before: ast.stmt) -> bool:
    """A loop binds its variable before its body runs."""
    return isinstance(node, LOOPS) and node in source.parents(before)


def _bound(node: ast.AST) -> list[str]:
    """The names that a node itself binds."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [each.asname or each.name.partition(".")[0] for each in node.names]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    if isinstance(node, ast.ExceptHandler) and node.name:
        return [node.name]
    return []
