"""What makes a finding the same one tomorrow: neither its line number nor the figures that were measured.

It is known by its rule, its file, the part of the model, and the code of the statement where it lies. Numbers in the
code or in a layer's path do not count: a rate of 0.5 that becomes 0.4 is as much too high as before, and which of
twelve equal blocks is worst changes from run to run.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dnndoctor.findings import Finding

ReadSource = Callable[[str], str | None]
VERSION = "dnndoctor/v1"

_NUMBER = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)
_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")


class Fingerprints:
    """Fingerprints of findings; each source file is read and parsed once."""

    def __init__(self, read_source: ReadSource) -> None:
        self._read_source = read_source
        self._trees: dict[str, ast.Module | None] = {}

    def of(self, finding: Finding) -> str:
        """32 hexadecimal digits."""
        file = finding.location.file.replace("\\", "/") if finding.location else ""
        subject = _NUMBER.sub("#", finding.subject or "")
        return _hashed(finding.rule, file, subject, self.code(finding))

    def code(self, finding: Finding) -> str:
        """The statement at the finding, without comments, layout and numbers, after the names of what it stands in."""
        if finding.location is None:
            return ""
        file = finding.location.file
        if file not in self._trees:
            self._trees[file] = _parsed(self._read_source(file))
        tree = self._trees[file]
        return _statement(tree, finding.location.line) if tree else ""


def numbered(prints: list[str]) -> list[str]:
    """The fingerprints made unique: of equal ones the second and later ones are told apart by their order."""
    seen: dict[str, int] = {}
    made = []
    for each in prints:
        seen[each] = seen.get(each, 0) + 1
        made.append(each if seen[each] == 1 else _hashed(each, str(seen[each])))
    return made


def _hashed(*parts: str) -> str:
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:32]


def _parsed(source: str | None) -> ast.Module | None:
    try:
        return ast.parse(source) if source is not None else None
    except (SyntaxError, ValueError, RecursionError):
        return None


def _statement(tree: ast.Module, line: int) -> str:
    names: list[str] = []
    found: ast.stmt | None = None
    inside: ast.AST | None = tree
    while inside is not None:
        inside = next(
            (each for each in _statements(inside) if _first(each) <= line <= getattr(each, "end_lineno", 0)), None
        )
        if isinstance(inside, ast.stmt):
            found = inside
        if isinstance(inside, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(inside.name)
    return f"{'.'.join(names)}: {_code(found)}" if found else ""


def _statements(node: ast.AST) -> list[ast.AST]:
    return [each for name in _BODIES for each in getattr(node, name, []) if isinstance(each, ast.AST)]


def _first(node: ast.AST) -> int:
    decorators = getattr(node, "decorator_list", [])
    lines = [each.lineno for each in (node, *decorators) if hasattr(each, "lineno")]
    inner = [each.lineno for each in ast.walk(node) if hasattr(each, "lineno")] if not lines else []
    return min([*lines, *inner], default=0)


def _code(statement: ast.stmt) -> str:
    """Of a compound statement only its head counts."""
    fields = {name: value for name, value in ast.iter_fields(statement) if name not in _BODIES}
    return _NUMBER.sub("#", ast.dump(type(statement)(**fields)))
