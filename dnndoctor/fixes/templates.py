"""Templates filled with the source that stands at a place."""

from __future__ import annotations

import ast
import re

from dnndoctor.fixes.source import Refused, Source

_SLOT = re.compile(r"\{(\d+|it|callee)\}")
_PRIMARY = (
    ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp,
    ast.SetComp, ast.JoinedStr,
)  # fmt: skip


def fill(source: Source, template: str, arguments: list[ast.expr], it: ast.AST | None, callee: ast.AST | None) -> str:
    """The template's slots replaced; an argument that is missing raises Refused."""

    def slot(match: re.Match[str]) -> str:
        key = match[1]
        node: ast.AST | None = {"it": it, "callee": callee}.get(key)
        if key.isdigit():
            if int(key) >= len(arguments):
                raise Refused("the call has fewer arguments")
            node = arguments[int(key)]
        if node is None:
            raise Refused("the place is no call")
        code, behind = source.code(node), template[match.end() :]
        before = template[: match.start()].rstrip()
        alone = (not before or before[-1] in "(,[=") and (not behind or behind.lstrip()[:1] in ("", ")", ",", "]"))
        return code if alone or primary(node) else f"({code})"

    return _SLOT.sub(slot, template)


def used(template: str) -> set[str]:
    """The names of its slots."""
    return set(_SLOT.findall(template))


def primary(node: ast.AST) -> bool:
    """Whether an attribute, call or operator can follow it as it stands."""
    plain = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return plain or isinstance(node, _PRIMARY)


def fitted(source: Source, node: ast.AST, code: str) -> str:
    """The code as it can stand in the node's place: in parentheses where what is around asks for them."""
    parent = source.parent(node)
    tight = isinstance(parent, (ast.BinOp, ast.UnaryOp, ast.Compare, ast.Await))
    tight = tight or (isinstance(parent, (ast.Attribute, ast.Subscript)) and parent.value is node)
    tight = tight or (isinstance(parent, ast.Call) and parent.func is node)
    try:
        new = ast.parse(code.strip(), mode="eval").body
    except SyntaxError:
        return code
    return f"({code})" if tight and not primary(new) and not isinstance(new, ast.Constant) else code
