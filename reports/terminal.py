"""The diagnosis on a terminal: ``full`` with source and evidence, ``concise`` with one line per finding."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dnndoctor.diagnosis import Diagnosis, Outcome, Practice, Verdict
from dnndoctor.findings import Finding, Fix, Severity
from dnndoctor.reports.excerpt import excerpt
from dnndoctor.reports.loop import described
from dnndoctor.reports.words import (
    Node,
    figure,
    headline,
    measured,
    one_line,
    place,
    plural,
    printable,
    sentence,
    severity,
    summary,
    tree,
    width,
)

NARROWEST = 40
GLYPHS = {
    Verdict.PASS: "pass",
    Verdict.WARN: "warn",
    Verdict.FAIL: "fail",
    Verdict.NOT_APPLICABLE: "-",
    Verdict.NOT_EXAMINED: "?",
}
STYLES = {"error": "1;31", "warning": "1;33", "info": "1;36", "fail": "1;31", "warn": "1;33", "pass": "32"}


@dataclass(frozen=True, slots=True)
class Pen:
    """Writes with ANSI colors, or without; breaks lines at ``columns``."""

    columns: int
    color: bool

    def paint(self, text: str, style: str) -> str:
        """Text in a style of ``STYLES``, or in an ANSI code."""
        code = STYLES.get(style, style)
        return f"\033[{code}m{text}\033[0m" if self.color and text else text

    def wrapped(self, text: str, first: str, rest: str) -> list[str]:
        """A paragraph under a prefix; words (paths, layer names) are never cut."""
        room = max(self.columns - len(first), NARROWEST)
        lines = textwrap.wrap(one_line(text), room, break_long_words=False, break_on_hyphens=False)
        return [(first if number == 0 else rest) + line for number, line in enumerate(lines)]


def full(diagnosis: Diagnosis, console_width: int = 100, color: bool = False, root: Path | None = None) -> str:
    """Findings with source, figures and fix; then each practice's verdict, and the summary."""
    pen = Pen(max(console_width, NARROWEST), color)
    blocks = [_head(diagnosis, pen)]
    nodes = tree(diagnosis)
    remarks = [each for each in nodes if all(severity(one) is Severity.INFO for one in each.walk())]
    blocks += ["\n".join(_node(node, pen, root)) for node in nodes if node not in remarks]
    blocks += ["\n".join(_remarks(remarks, pen))] if remarks else []
    if diagnosis.practices:
        blocks.append("\n".join(_practices(diagnosis.practices, pen)))
    crashed = [
        line
        for each in diagnosis.crashed
        for line in pen.wrapped(f"{each.rule.code} crashed, a bug of dnndoctor: {each.reason or ''}", "", "  ")
    ]
    blocks += ["\n".join(crashed)] if crashed else []
    blocks.append("\n".join(pen.wrapped(summary(diagnosis), "", "")))
    return "\n\n".join(blocks) + "\n"


def concise(diagnosis: Diagnosis, color: bool = False) -> str:
    """One line per finding; then the summary, and where the program's own output lies, if it wrote any."""
    pen = Pen(10_000, color)
    lines = [_title(each, pen) for node in tree(diagnosis) for each in node.walk()]
    lines.append(one_line(summary(diagnosis)))
    lines += [f"The program's own output: {one_line(diagnosis.run.log)}"] if diagnosis.run.log else []
    return "\n".join(lines) + "\n"


def _head(diagnosis: Diagnosis, pen: Pen) -> str:
    target, run = diagnosis.target, diagnosis.run
    steps = f"{plural(run.steps_observed, 'step')} on {printable(run.device)} in {figure(run.wall_seconds)} s"
    if run.overhead is not None:
        steps += f", {figure(100 * run.overhead)} % of it for recording"
    elif run.course is not None:
        steps = f"its logs up to {run.course.at(run.course.last_step)}"
    lines = [f"{pen.paint(one_line(' '.join((target.path, *target.args))), '1')}: {steps}"]
    if target.outcome is not Outcome.EXAMINED:
        why = headline(diagnosis) if target.outcome is Outcome.NOT else f"Partly examined: {target.reason or ''}"
        lines += [pen.paint(line, "warning") for line in pen.wrapped(sentence(why), "", "")]
    said = described(run)
    column = max((len(label) for label, _ in said), default=0)
    for label, text in said:
        lines += pen.wrapped(text, f"  {label:<{column}}  ", " " * (column + 4))
    for note in diagnosis.run.notes:
        lines += pen.wrapped(note, "note: ", "      ")
    return "\n".join(lines)


def _title(finding: Finding, pen: Pen) -> str:
    grade = severity(finding)
    label = pen.paint(f"[{grade}]", grade)
    return f"{pen.paint(one_line(place(finding)), '1')}: {finding.rule} {label} {one_line(finding.message)}"


def _node(node: Node, pen: Pen, root: Path | None) -> Iterator[str]:
    finding = node.finding
    grade, here = severity(finding), one_line(place(finding))
    title = f"{here} {finding.rule} [{grade}] {finding.name}: {one_line(finding.message)}"
    for number, each in enumerate(pen.wrapped(title, "", "  ")):
        # Painted after the lines are broken: escape codes have no width.
        painted = each.replace(f"[{grade}]", pen.paint(f"[{grade}]", grade), 1) if number == 0 else each
        yield pen.paint(here, "1") + painted[len(here) :] if painted.startswith(here) else painted
    margin, source = _source(finding, pen, root)
    yield from source
    bar, equals = " " * margin + " | ", " " * margin + " = "
    if finding.evidence:
        yield from pen.wrapped("; ".join(measured(each) for each in finding.evidence), equals + "measured: ", bar)
    if finding.fix:
        yield from _fix(finding.fix, pen, equals, bar)
    for below in node.consequences:
        yield from _consequence(below, pen, " " * margin + " ")


def _remarks(nodes: list[Node], pen: Pen) -> Iterator[str]:
    """What is worth knowing and no reason to stop: a line each. The HTML report and ``dnndoctor rule`` say more."""
    yield pen.paint("Worth knowing", "info")
    for finding in (each for node in nodes for each in node.walk()):
        said = f"{one_line(place(finding))} {finding.rule} {finding.name}: {one_line(finding.message)}"
        yield from pen.wrapped(said, "  ", "    ")


def _source(finding: Finding, pen: Pen, root: Path | None) -> tuple[int, list[str]]:
    if finding.location is None:
        return 2, []
    at = finding.location
    shown = excerpt(at.file, at.line, column=at.column, root=root)
    if not shown.lines:
        return 2, []
    [line] = shown.lines
    margin = max(len(str(line.number)) + 1, 2)
    gutter = " " * margin + " |"
    caret = pen.paint("^", severity(finding))
    offset = width(line.text[: shown.caret - 1])
    return margin, [gutter, f"{line.number:>{margin}} | {line.text}".rstrip(), f"{gutter} {' ' * offset}{caret}"]


def _fix(fix: Fix, pen: Pen, equals: str, bar: str) -> Iterator[str]:
    proven = {True: " (tried: it helps)", False: " (tried: no gain measured)", None: ""}[fix.verified]
    for number, line in enumerate(pen.wrapped(fix.summary + proven, equals + "fix: ", bar)):
        yield line.replace("fix:", pen.paint("fix:", "32"), 1) if number == 0 else line
    for line in printable(fix.diff or fix.code or "").rstrip("\n").splitlines():
        yield f"{bar}  {line}".rstrip()


def _consequence(node: Node, pen: Pen, indent: str) -> Iterator[str]:
    found = node.finding
    grade: Severity = severity(found)
    label = pen.paint(f"[{grade}]", grade)
    title = f"{found.rule} [{grade}] {found.name}, {place(found)}: {found.message}"
    for number, line in enumerate(pen.wrapped(title, f"{indent}-> leads to ", indent + "   ")):
        yield line.replace(f"[{grade}]", label, 1) if number == 0 else line
    for each in node.consequences:
        yield from _consequence(each, pen, indent + "   ")


def _practices(practices: tuple[Practice, ...], pen: Pen) -> Iterator[str]:
    column = max(width(each.title) for each in practices)
    for each in practices:
        glyph = GLYPHS[each.verdict]
        head = f"{glyph:<4}  {printable(each.title)}{' ' * (column - width(each.title))}  "
        unjudged = each.verdict in (Verdict.NOT_EXAMINED, Verdict.NOT_APPLICABLE)
        reason = one_line(each.reason or "") if unjudged else _codes(each)
        lines = pen.wrapped(_with_label(each.verdict, reason), head, " " * len(head)) or [head.rstrip()]
        yield pen.paint(glyph, glyph) + lines[0][len(glyph) :]
        yield from lines[1:]


def _with_label(verdict: Verdict, reason: str) -> str:
    labels = {Verdict.NOT_EXAMINED: "not examined", Verdict.NOT_APPLICABLE: "not applicable"}
    label = labels.get(verdict)
    return ": ".join(part for part in (label, reason) if part)


def _codes(practice: Practice) -> str:
    return ", ".join(result.rule.code for result in practice.results if result.findings)
