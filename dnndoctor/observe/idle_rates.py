"""Learning rates that the source changes where no optimizer reads them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from dnndoctor.findings import Location

_RATE = re.compile(r"^(\w+_)?(lr|learning_rate)$")
_KEYS = frozenset(("learning_rate", "learning-rate", "rate", "LR", "Lr"))
_SHOWING = frozenset(
    "print log info debug append format write add_scalar set_postfix set_description warning echo".split()
)
_LOOKED_UP = re.compile(r"param_groups|get_last_lr|get_lr|state_dict")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def idle_rates(file: str, root: ast.Module) -> Iterator[tuple[str, Location]]:
    """Variables named like a rate that are changed in a loop or function, and afterwards only shown, if at all.

    A rate given to an optimizer before the loop is a number by then: what the variable becomes does not reach it.
    """
    for scope in [root, *(each for each in ast.walk(root) if isinstance(each, _FUNCTIONS))]:
        parents = {child: node for node in ast.walk(scope) for child in ast.iter_child_nodes(node)}
        stored = [
            (node, name)
            for node in _own_statements(scope)
            if isinstance(node, (ast.Assign, ast.AugAssign))
            for name in _targets(node)
        ]
        for name in dict.fromkeys(name for _, name in stored):
            change = _idle(name, [node for node, other in stored if other == name], scope, parents)
            if change is not None:
                yield name, Location(file, change.lineno, change.col_offset + 1)


def _targets(node: ast.Assign | ast.AugAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [each.id for each in targets if isinstance(each, ast.Name) and _RATE.match(each.id)]


def _own_statements(scope: ast.AST) -> Iterator[ast.AST]:
    queue = list(ast.iter_child_nodes(scope))
    while queue:
        node = queue.pop(0)
        yield node
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef, ast.Lambda)):
            queue.extend(ast.iter_child_nodes(node))


def _idle(name: str, stores: list[ast.stmt], scope: ast.AST, parents: dict[ast.AST, ast.AST]) -> ast.stmt | None:
    """The statement that changes it in vain, or None."""
    changes = [each for each in stores if _loop_around(each, parents) is not None and _reckoned(each)]
    if not changes or any(isinstance(each, (ast.Global, ast.Nonlocal)) for each in ast.walk(scope)):
        return None
    loop = _loop_around(changes[0], parents)
    for node in ast.walk(scope):
        if not (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)):
            continue
        if any(each is change for change in changes for each in _up(node, parents)):
            continue  # it is made of what it was
        elsewhere = any(
            isinstance(each, (*_FUNCTIONS, ast.Lambda)) and each is not scope for each in _up(node, parents)
        )
        before = loop not in list(_up(node, parents)) and node.lineno < changes[0].lineno and not elsewhere
        if not before and not any(_shows(each) for each in _up(node, parents)):
            return None
    return changes[0]


def _reckoned(node: ast.stmt) -> bool:
    """Whether a new rate is worked out, and not one tried after the other, nor the optimizer's own looked up."""
    if isinstance(node, ast.AugAssign):
        return True
    return not _LOOKED_UP.search(ast.unparse(node)) and any(isinstance(each, ast.BinOp) for each in ast.walk(node))


def _loop_around(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> ast.AST | None:
    return next((each for each in reversed(list(_up(node, parents))) if isinstance(each, (ast.For, ast.While))), None)


def _up(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> Iterator[ast.AST]:
    while node in parents:
        node = parents[node]
        yield node


def _shows(node: ast.AST) -> bool:
    if isinstance(node, (ast.JoinedStr, ast.Compare)):
        return True
    if not isinstance(node, ast.Call):
        return False
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return called in _SHOWING


def wrong_keys(file: str, root: ast.Module) -> Iterator[tuple[str, Location]]:
    """Writes of a rate to a key of an optimizer's groups, or to its defaults, that no step reads."""
    groups = {
        node.target.id
        for node in ast.walk(root)
        if isinstance(node, (ast.For, ast.comprehension))
        and isinstance(node.target, ast.Name)
        and ast.unparse(node.iter).endswith("param_groups")
    }
    for node in ast.walk(root):
        if not isinstance(node, (ast.Assign, ast.AugAssign)):
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if not isinstance(target, ast.Subscript) or not isinstance(target.slice, ast.Constant):
                continue
            key, holder = target.slice.value, ast.unparse(target.value)
            group = holder in groups or re.search(r"\.param_groups\[[^]]*\]$", holder) is not None
            default = re.search(r"opt\w*\.defaults$", holder, re.IGNORECASE) is not None and key == "lr"
            if (group and key in _KEYS) or default:
                yield ast.unparse(target), Location(file, node.lineno, node.col_offset + 1)
