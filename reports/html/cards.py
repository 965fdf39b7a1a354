"""A finding as the page shows it: source, figures, why, fix, and what it brought about."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dnndoctor.diagnosis import Diagnosis
from dnndoctor.findings import Evidence, Finding, Fix
from dnndoctor.reports.excerpt import Excerpt, excerpt
from dnndoctor.reports.html.figures.figure import Figure
from dnndoctor.reports.manual import sections
from dnndoctor.reports.words import Node, place, printable, sentence, severity, tree, with_unit

CONTEXT = 2  # lines on either side of the one at fault
PROVEN = {True: "Tried: it helps.", False: "Tried: no gain was measured.", None: None}


@dataclass(frozen=True, slots=True)
class Card:
    """One finding. ``see``: a figure that stands elsewhere on the page. ``code``: lines with their kind."""

    id: str
    rule: str
    name: str
    grade: str
    practice: str
    message: str
    place: str
    subject: str | None
    source: Excerpt
    measured: tuple[tuple[str, str, str], ...]
    why: str
    ignore: str
    summary: str | None
    explanation: str
    code: tuple[tuple[str, str], ...]
    proven: str | None
    figure: Figure | None
    see: Figure | None
    consequences: "tuple[Card, ...]"

    def walk(self) -> "Iterator[Card]":
        """This card and all below it."""
        yield self
        for each in self.consequences:
            yield from each.walk()


def cards(diagnosis: Diagnosis, drawn: tuple[Figure, ...], root: Path | None) -> tuple[Card, ...]:
    """The findings that no other explains, with the others beneath them."""
    desk = _Desk(diagnosis, drawn, root)
    return tuple(desk.card(node) for node in tree(diagnosis))


class _Desk:
    """Numbers the findings, and gives each figure to the first that it belongs to: one drawing of it on a page."""

    def __init__(self, diagnosis: Diagnosis, drawn: tuple[Figure, ...], root: Path | None) -> None:
        self._drawn, self._root = drawn, root
        self._rules = {each.rule.code: each.rule for each in diagnosis.results}
        self._dealt: set[str] = set()
        self._numbers: dict[str, int] = {}

    def card(self, node: Node) -> Card:
        finding, at, fix = node.finding, node.finding.location, node.finding.fix or Fix("")
        rule = self._rules.get(finding.rule)
        repeated = finding.rule in self._numbers  # the manual's words stand at the rule's first finding
        manual = sections(rule.doc if rule and not repeated else "")
        figure = self._figure(finding)
        mine = figure is not None and figure.id not in self._dealt
        if figure and mine:
            self._dealt.add(figure.id)
        return Card(
            id=self._anchor(finding),
            rule=finding.rule,
            name=finding.name,
            grade=severity(finding).value,
            practice=finding.practice,
            message=sentence(finding.message),
            place=place(finding),
            subject=printable(finding.subject) if finding.subject else None,
            source=excerpt(at.file, at.line, CONTEXT, column=at.column, root=self._root) if at else Excerpt(),
            measured=tuple(_row(each) for each in finding.evidence),
            why=manual.get("Why it matters", ""),
            ignore=manual.get("When to ignore it", ""),
            summary=sentence(fix.summary) or None,
            explanation=printable(fix.explanation),
            code=tuple(_code(fix)),
            proven=PROVEN[fix.verified],
            figure=figure if mine else None,
            see=None if mine else figure,
            consequences=tuple(self.card(each) for each in node.consequences),
        )

    def _figure(self, finding: Finding) -> Figure | None:
        rule = self._rules.get(finding.rule)
        needs = {need.kind for need in rule.needs} if rule else set()
        fitting = [each for each in self._drawn if finding.practice in each.practices and each.kinds & needs]
        return fitting[0] if fitting else None

    def _anchor(self, finding: Finding) -> str:
        count = self._numbers[finding.rule] = self._numbers.get(finding.rule, 0) + 1
        return f"{finding.rule}-{count}"


def _row(one: Evidence) -> tuple[str, str, str]:
    expected = "" if one.expected is None else with_unit(one.expected, one.unit)
    return printable(one.name), with_unit(one.value, one.unit), expected


def _code(fix: Fix) -> Iterator[tuple[str, str]]:
    kinds = {"+": "added", "-": "removed", "@": "hunk"}
    for line in printable(fix.diff or fix.code or "").rstrip("\n").splitlines():
        header = line.startswith(("+++", "---"))
        yield ("hunk" if header else kinds.get(line[:1], "")) if fix.diff else "", line
