"""A source file with its syntax tree: nodes by place, their text, the blocks and loops around them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from dnndoctor.changes import Loop
from dnndoctor.findings import Location

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
LOOPS = (ast.For, ast.AsyncFor, ast.While)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")


class Refused(Exception):
    """The source is not what a change asks for; the message says in what."""


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """The characters from ``start`` to ``end`` become ``text``."""

    start: int
    end: int
    text: str


class Source:
    """Raises SyntaxError where the text does not parse."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self._lines: list[str] = [each for each in _LINE.findall(text) if each] or [""]
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))
        self._parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def offset(self, line: int, column: int) -> int:
        """The character at a line, from 1, and a column, from 0 and counted in bytes as syntax trees do."""
        text = self._lines[line - 1]
        return self._starts[line - 1] + len(text.encode()[:column].decode(errors="ignore"))

    def start(self, node: ast.AST) -> int:
        """The first character."""
        return self.offset(node.lineno, node.col_offset)  # type: ignore[attr-defined]

    def end(self, node: ast.AST) -> int:
        """Behind the last character."""
        return self.offset(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]

    def code(self, node: ast.AST) -> str:
        """Its text."""
        return self.text[self.start(node) : self.end(node)]

    def parent(self, node: ast.AST) -> ast.AST | None:
        """What holds it."""
        return self._parents.get(node)

    def parents(self, node: ast.AST) -> Iterator[ast.AST]:
        """Everything that holds it, innermost first."""
        here = self.parent(node)
        while here is not None:
            yield here
            here = self.parent(here)

    def statement(self, node: ast.AST) -> ast.stmt:
        """The statement that it is or belongs to."""
        for each in (node, *self.parents(node)):
            if isinstance(each, ast.stmt):
                return each
        raise Refused("there is no statement at the place")

    def scope(self, node: ast.AST) -> ast.AST:
        """The function, class or module that it is in."""
        kinds = (*FUNCTIONS, ast.ClassDef, ast.Module)
        return next(each for each in self.parents(node) if isinstance(each, kinds))

    def block(self, statement: ast.stmt) -> list[ast.stmt]:
        """The statements that it is one of."""
        holder = self.parent(statement)
        for _, value in ast.iter_fields(holder) if holder is not None else ():
            if isinstance(value, list) and statement in value:
                block: list[ast.stmt] = value
                return block
        raise Refused("the statement is in no block")

    def around(self, statement: ast.stmt, loop: Loop | None) -> ast.stmt:
        """The loop around the statement that is meant, or the statement."""
        if loop is None:
            return statement
        loops = []
        for each in self.parents(statement):
            if isinstance(each, (*FUNCTIONS, ast.ClassDef)):
                break
            if isinstance(each, LOOPS):
                loops.append(each)
        if not loop.without:
            return loops[0] if loops else statement
        apart = [each for each in loops if not any(holds(each, place) for place in loop.without)]
        return apart[-1] if apart else statement

    def lines(self, statement: ast.stmt) -> tuple[int, int]:
        """The characters of its whole lines, with comments behind it; it must have them to itself."""
        first = min([statement.lineno, *(each.lineno for each in getattr(statement, "decorator_list", ()))])
        start, end = self._starts[first - 1], self._starts[statement.end_lineno or first]
        before, behind = self.text[start : self.start(statement)], self.text[self.end(statement) : end]
        if (first == statement.lineno and before.strip()) or (behind.strip() and not behind.lstrip().startswith("#")):
            raise Refused("the statement shares its line with another")
        return start, end

    def indent(self, statement: ast.stmt) -> str:
        """The white space before it."""
        line: str = self._lines[statement.lineno - 1]
        return line[: len(line) - len(line.lstrip())]

    def unit(self) -> str:
        """One level of indentation, as the file has it."""
        for node in ast.walk(self.tree):
            body: list[ast.stmt] = getattr(node, "body", [])
            if isinstance(node, ast.stmt) and isinstance(body, list) and body and body[0].lineno > node.lineno:
                inner, outer = self.indent(body[0]), self.indent(node)
                if len(inner) > len(outer):
                    return inner[len(outer) :]
        return "    "

    def first_on_line(self, node: ast.AST) -> bool:
        """Whether nothing but white space stands before it on its line."""
        start = self.start(node)
        return not self.text[self._starts[node.lineno - 1] : start].strip()  # type: ignore[attr-defined]


def holds(node: ast.AST, place: Location) -> bool:
    """Whether a line is one of the node's."""
    return bool(node.lineno <= place.line <= (node.end_lineno or 0))  # type: ignore[attr-defined]


def applied(text: str, edits: list[Edit]) -> str:
    """The text with all edits made; they must not overlap."""
    # Of several at one place the first comes first.
    for _, each in sorted(enumerate(edits), key=lambda item: (item[1].start, item[1].end, item[0]), reverse=True):
        text = text[: each.start] + each.text + text[each.end :]
    return text
