"""A finding as the page shows it: source, figures, why, fix, and what it brought about."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dnndoctor.diagnosis import Diagnosis
from dnndoctor.findings import Evidence, Finding, Fix
from dnndoctor.reports.excerpt import Excerpt, excerpt
from dnndoctor.reports.html.figures.figure import Figure
from dnndoctor.reports.manual import sections
from dnndoctor.reports.words import Node, place, printable, sentence, severity, tree, with_unit

LONGEST = 160  # characters of a message in a list
CONTEXT = 2  # lines on either side of the one at fault
PROVEN = {True: "Tried: it helps.", False: "Tried: no gain was measured.", None: None}


@dataclass(frozen=True, slots=True)
class Card:
    """One finding. ``see``: a figure that stands elsewhere on the page. ``code``: lines with their kind.

    ``silence``: the comment that keeps the rule quiet on this line. ``manual``: headings and paragraphs of the rule's
    page, at its first finding. ``diff``: ``code`` is a patch of the source.
    """

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
    silence: str
    manual: tuple[tuple[str, str], ...]
    summary: str | None
    explanation: str
    code: tuple[tuple[str, str], ...]
    diff: bool
    proven: str | None
    figure: Figure | None
    see: Figure | None
    consequences: "tuple[Card, ...]"

    def walk(self) -> "Iterator[Card]":
        """This card and all below it."""
        yield self
        for each in self.consequences:
            yield from each.walk()


@dataclass(frozen=True, slots=True)
class Rest:
    """Findings of one rule that have no card of their own: place and message of each, and how many are not listed."""

    rule: str
    name: str
    grade: str
    rows: tuple[tuple[str, str], ...]
    unlisted: int


MOST_CARDS = 60  # a page of more is not read, and takes the browser seconds
MOST_ROWS = 2000  # of all that have no card: a page stays below 1.5 MB


def cards(diagnosis: Diagnosis, drawn: tuple[Figure, ...], root: Path | None) -> tuple[Card, ...]:
    """The findings that no other explains, with the others beneath them; the first ``MOST_CARDS`` of them all."""
    desk = _Desk(diagnosis, drawn, root)
    return tuple(desk.card(node) for node in _cut(tree(diagnosis), [MOST_CARDS]))


def rest(diagnosis: Diagnosis) -> tuple[Rest, ...]:
    """By rule, the findings that got no card."""
    shown = {id(each) for node in _cut(tree(diagnosis), [MOST_CARDS]) for each in node.walk()}
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for each in diagnosis.findings:
        if id(each) not in shown:
            groups.setdefault((each.rule, each.name, severity(each).value), []).append(each)
    share = max(MOST_ROWS // max(len(groups), 1), 1)
    return tuple(
        Rest(*key, tuple((place(f), shortened(f.message, LONGEST)) for f in found[:share]), len(found[share:]))
        for key, found in groups.items()
    )


def _cut(nodes: Iterable[Node], left: list[int]) -> tuple[Node, ...]:
    """The nodes in reading order until none is left."""
    kept = []
    for node in nodes:
        if left[0] <= 0:
            break
        left[0] -= 1
        kept.append(Node(node.finding, _cut(node.consequences, left)))
    return tuple(kept)


def shortened(text: str, longest: int) -> str:
    """The text as a sentence, cut at a word where it is longer."""
    text = sentence(text)
    return text if len(text) <= longest else text[:longest].rpartition(" ")[0] + " ..."


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
            silence=f"# dnndoctor: ignore[{finding.rule}]",
            manual=tuple((name, text) for name, text in manual.items() if name and name != "Why it matters"),
            summary=sentence(fix.summary) or None,
            explanation=printable(fix.explanation),
            code=tuple(_code(fix)),
            diff=fix.diff is not None,
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
