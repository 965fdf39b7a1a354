"""``# dnndoctor: ignore[ACT101]`` in the user's source silences findings there.

A comment counts for its own line and for the whole statement that the line belongs to; ``ignore-file`` above the
first statement counts for the file.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from io import StringIO
from typing import TYPE_CHECKING

from dnndoctor.registry import load_rules
from dnndoctor.rule import Result, State
from dnndoctor.select import UnknownSelector, exactness, known

if TYPE_CHECKING:
    from dnndoctor.findings import Finding

ReadSource = Callable[[str], str | None]

COMMENT = re.compile(r"#\s*dnndoctor:\s*(?P<kind>ignore-file|ignore)(?![\w-])(?:\s*\[(?P<rules>[^\]]*)\])?")
ANY = "*"
FILE = "ignore-file"


@dataclass(frozen=True, slots=True)
class Comment:
    """One suppression comment; ``selectors`` is ("*",) where it names no rule.

    ``lines`` are those that it covers; ``whole_file``: it covers every one, which it must stand at the top to do.
    """

    file: str
    line: int
    kind: str
    whole_file: bool
    selectors: tuple[str, ...]
    lines: range

    def covers(self, finding: Finding, target: str | None) -> bool:
        """Whether the finding lies where this comment speaks."""
        if finding.location is None:
            return self.whole_file and self.file == target
        return finding.location.file == self.file and (self.whole_file or finding.location.line in self.lines)


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Results without the silenced findings, how many those were, and one line for each comment without effect."""

    results: tuple[Result, ...]
    count: int
    unused: tuple[str, ...]


def suppress(
    findings: Iterable[Finding],
    read_source: ReadSource,
    *,
    target: str | None = None,
    judged: Callable[[str], bool] = lambda _: True,
) -> tuple[tuple[Finding, ...], int, tuple[str, ...]]:
    """Findings that stay, how many were silenced, and one line for each comment without effect.

    ``read_source`` gives a file's text, or None. A finding without a place belongs to the file ``target``.
    ``judged`` says of a rule's code whether it could judge at all; if not, a comment that names it is not
    called unused.
    """
    findings = tuple(findings)
    files = dict.fromkeys([*([target] if target else []), *(f.location.file for f in findings if f.location)])
    comments = [each for file in files for each in comments_in(file, read_source(file) or "")]
    used: set[tuple[Comment, str]] = set()
    kept: list[Finding] = []
    for finding in findings:
        hits = [
            (comment, selector)
            for comment in comments
            if comment.covers(finding, target)
            for selector in comment.selectors
            if _means(selector, finding)
        ]
        used.update(hits)
        if not hits:
            kept.append(finding)
    unused = [line for comment in comments for line in _unused(comment, used, judged)]
    return tuple(kept), len(findings) - len(kept), tuple(unused)


def suppress_results(results: Iterable[Result], read_source: ReadSource, *, target: str | None = None) -> Suppressed:
    """``suppress`` over rule results; a rule whose every finding was silenced ends as not applicable."""
    results = tuple(results)
    judged = {each.rule.code for each in results if each.state in (State.FINDING, State.PASS)}
    every = [finding for each in results for finding in each.findings]
    kept, count, unused = suppress(every, read_source, target=target, judged=judged.__contains__)
    return Suppressed(tuple(_without(each, kept) for each in results), count, unused)


def comments_in(file: str, source: str) -> list[Comment]:
    """Every suppression comment of a source text; text in strings does not count."""
    if "dnndoctor:" not in source:
        return []
    tree = _parse(source)
    return [_comment(file, token, match, tree) for token in _tokens(source) for match in COMMENT.finditer(token.string)]


def statement_lines(tree: ast.Module | None, line: int) -> range:
    """The lines of the innermost statement at ``line``; of a compound one (``with``, ``def``) its head only."""
    found = range(line, line + 1)
    for node in ast.walk(tree) if tree else ():
        if not isinstance(node, ast.stmt):
            continue
        start = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
        inner = [each.lineno for name in ("body", "cases") for each in _nodes(node, name)]
        end = max(start, min(inner) - 1) if inner else (node.end_lineno or node.lineno)
        # ast.walk goes outside in, so the last one that holds the line is the innermost
        if start <= line <= end:
            found = range(start, end + 1)
    return found


def _nodes(node: ast.stmt, name: str) -> list[ast.stmt]:
    inner = [each for each in getattr(node, name, []) if hasattr(each, "lineno")]
    return inner or [each.pattern for each in getattr(node, name, []) if isinstance(each, ast.match_case)]


def _tokens(source: str) -> Iterator[tokenize.TokenInfo]:
    try:
        for token in tokenize.generate_tokens(StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                yield token
    except (tokenize.TokenError, SyntaxError):  # a file that is broken further down
        return


def _parse(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return None


def _comment(file: str, token: tokenize.TokenInfo, match: re.Match[str], tree: ast.Module | None) -> Comment:
    line = token.start[0]
    named = tuple(each.strip() for each in (match["rules"] or "").split(",") if each.strip())
    whole_file = match["kind"] == FILE and line < _first_statement(tree)
    lines = range(0) if match["kind"] == FILE else statement_lines(tree, line)
    return Comment(file, line, match["kind"], whole_file, named or (ANY,), lines)


def _first_statement(tree: ast.Module | None) -> float:
    before = (ast.Expr, ast.Import, ast.ImportFrom)
    body = tree.body if tree else []
    return next((each.lineno for each in body if not isinstance(each, before)), float("inf"))


def _means(selector: str, finding: Finding) -> bool:
    rule = load_rules().get(finding.rule)
    if selector == ANY or selector.upper() == finding.rule or selector.lower() == finding.name:
        return True
    return rule is not None and exactness(selector, rule) is not None


def _unused(comment: Comment, used: set[tuple[Comment, str]], judged: Callable[[str], bool]) -> Iterator[str]:
    for selector in comment.selectors:
        if (comment, selector) in used:
            continue
        place = f"{comment.file}:{comment.line}"
        what = comment.kind if selector == ANY else f"{comment.kind}[{selector}]"
        if comment.kind == FILE and not comment.whole_file:
            yield f"{place}: {what} stands below the first statement, where it has no effect"
            continue
        if selector == ANY:
            yield f"{place}: {what} silences nothing"
            continue
        try:
            meant = known(selector, load_rules().values())
        except UnknownSelector as why:
            yield f"{place}: in a dnndoctor comment {why}"
            continue
        if any(judged(each.code) for each in meant):
            yield f"{place}: {what} silences nothing"


def _without(result: Result, kept: tuple[Finding, ...]) -> Result:
    stay = tuple(each for each in result.findings if each in kept)
    if len(stay) == len(result.findings):
        return result
    if stay:
        return replace(result, findings=stay)
    return replace(result, findings=(), state=State.NOT_APPLICABLE, reason="silenced by a comment in the source")
