"""A comparison on a terminal: what came first, since that is what a merge waits for."""

from collections.abc import Iterator

from dnndoctor.comparison import Change, Comparison
from dnndoctor.findings import Finding, Severity
from dnndoctor.reports.comparison import Fact, caution, facts, graver_first, headline, moved, note, title
from dnndoctor.reports.terminal import NARROWEST, Pen
from dnndoctor.reports.words import one_line, severity, with_unit

LABELS = {"not-applicable": "not applicable", "not-examined": "not examined"}


def full(comparison: Comparison, console_width: int = 100, color: bool = False) -> str:
    """Findings that came, are gone, were not looked for again, and stayed; then figures and practices."""
    pen = Pen(max(console_width, NARROWEST), color)
    blocks = ["\n".join(_head(comparison, pen))]
    came, gone = graver_first(comparison.came), graver_first(comparison.gone)
    blocks += _changes("New", came, "before: ", pen, fixes=True)
    blocks += _changes("Gone", gone, "now ", pen)
    blocks += _changes("Not looked for again", comparison.unjudged, "now ", pen)
    blocks += _stayed(comparison, pen)
    blocks += _facts(facts(comparison), pen)
    blocks += _turns(comparison, pen)
    return "\n\n".join([*blocks, *pen.wrapped(headline(comparison), "", "")]) + "\n"


def concise(comparison: Comparison) -> str:
    """One line for each finding, with "+" for what came, "-" for what is gone, "?" for what was not looked for."""
    marked = [("+", each.finding) for each in graver_first(comparison.came)]
    marked += [("-", each.finding) for each in graver_first(comparison.gone)]
    marked += [("?", each.finding) for each in comparison.unjudged]
    marked += [("=", each.after) for each in comparison.stayed]
    return "\n".join([*(f"{mark} {title(each)}" for mark, each in marked), headline(comparison)]) + "\n"


def _head(comparison: Comparison, pen: Pen) -> Iterator[str]:
    sides = zip(("before", "after"), (comparison.before, comparison.after), strict=True)
    for name, each in sides:
        command = one_line(" ".join((each.target.path, *each.target.args)))
        yield f"{name:<6}  {pen.paint(command, '1')} ({one_line(each.run.recording or '-')})"
    for said in caution(comparison):
        yield from pen.wrapped(said, "note: ", "      ")


def _changes(heading: str, changes: tuple[Change, ...], lead: str, pen: Pen, *, fixes: bool = False) -> Iterator[str]:
    if not changes:
        return
    lines = [pen.paint(heading, "1")]
    for each in changes:
        lines += _finding(each.finding, pen)
        if said := note(each, lead):
            lines += pen.wrapped(said, "    = ", "      ")
        if fixes and each.finding.fix and severity(each.finding) is not Severity.INFO:
            lines += pen.wrapped(each.finding.fix.summary, "    = fix: ", "      ")
    yield "\n".join(lines)


def _finding(finding: Finding, pen: Pen) -> list[str]:
    grade = severity(finding)
    head, *rest = pen.wrapped(title(finding), "  ", "    ")
    return [head.replace(f"[{grade}]", pen.paint(f"[{grade}]", grade), 1), *rest]


def _stayed(comparison: Comparison, pen: Pen) -> Iterator[str]:
    if not comparison.stayed:
        return
    lines = [pen.paint("Stayed", "1")]
    for each in comparison.stayed:
        lines += _finding(each.after, pen)
        if said := moved(each):
            lines += pen.wrapped(said, "    = ", "      ")
    yield "\n".join(lines)


def shown(value: float | None, unit: str | None) -> str:
    """A figure, or a dash where it was not measured."""
    return "-" if value is None else with_unit(value, unit)


def _facts(rows: tuple[Fact, ...], pen: Pen) -> Iterator[str]:
    cells = [(each.name, shown(each.before, each.unit), shown(each.after, each.unit)) for each in rows]
    names, befores = (max((len(row[column]) for row in cells), default=0) for column in (0, 1))
    lines = [f"  {name:<{names}}  {before:>{befores}} -> {after}" for name, before, after in cells]
    if lines:
        yield "\n".join([pen.paint("Figures", "1"), *lines])


def _turns(comparison: Comparison, pen: Pen) -> Iterator[str]:
    if not comparison.turns:
        return
    column = max(len(each.title) for each in comparison.turns)
    lines = [pen.paint("Practices", "1")]
    for each in comparison.turns:
        before, after = (LABELS.get(verdict, str(verdict)) for verdict in (each.before, each.after))
        lines.append(f"  {one_line(each.title):<{column}}  {before} -> {pen.paint(after, after)}")
    yield "\n".join(lines)
