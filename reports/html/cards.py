"""A finding as the page shows it: source, figures, why, fix, and what it brought about."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from dnndoctor.diagnosis import Diagnosis
from dnndoctor.findings import Evidence, Finding, Fix
from dnndoctor.reports.excerpt import Excerpt, excerpt
from dnndoctor.reports.html.figures.figure import Figure
from dnndoctor.reports.html.prose import prose
from dnndoctor.reports.manual import sections
from dnndoctor.reports.words import Node, place, printable, sentence, severity, tree, with_unit

CONTEXT = 2  # lines on either side of the one at fault
ALIKE = 3  # findings of one rule under one cause that are shown in full: the next says little that is new
IN_FULL = 60  # cards on a page: more of them, and nobody reads it to the end
LISTED = 2_000  # further findings by place and message: a page has to open and to scroll
PROVEN = {True: "Tried: it helps.", False: "Tried: no gain was measured.", None: None}
# What the page says of its own (why, how to silence it) is not repeated from the manual.
MANUAL = ("What it measures", "How to fix it", "When to ignore it", "References")


@dataclass(frozen=True, slots=True)
class Row:
    """A finding in one line."""

    id: str
    grade: str
    place: str
    message: str


@dataclass(frozen=True, slots=True)
class More:
    """Further findings of a rule, folded; ``left_out`` of them are counted only."""

    rule: str
    name: str
    rows: tuple[Row, ...]
    left_out: int
    grades: tuple[str, ...]

    @property
    def count(self) -> int:
        """All of them."""
        return len(self.rows) + self.left_out


@dataclass(frozen=True, slots=True)
class Group:
    """Findings that have one cause, or none."""

    cards: "tuple[Card, ...]" = ()
    more: tuple[More, ...] = ()

    def walk(self) -> "Iterator[Card]":
        """All cards, each before those below it."""
        for each in self.cards:
            yield each
            yield from each.below.walk()


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
    why: Markup
    manual: tuple[tuple[str, Markup], ...]
    silence: tuple[tuple[str, str], ...]
    summary: str | None
    explanation: Markup
    code: tuple[tuple[str, str], ...]
    proven: str | None
    figure: Figure | None
    see: Figure | None
    below: Group

    @property
    def expects(self) -> bool:
        """Whether any figure has one that it should have been."""
        return any(expected for _, _, expected in self.measured)


def cards(diagnosis: Diagnosis, drawn: tuple[Figure, ...], root: Path | None) -> Group:
    """The findings that no other explains, with the others beneath them."""
    return _Desk(diagnosis, drawn, root).group(tree(diagnosis))


class _Desk:
    """Numbers the findings, and gives each figure to the first that it belongs to: one drawing of it on a page."""

    def __init__(self, diagnosis: Diagnosis, drawn: tuple[Figure, ...], root: Path | None) -> None:
        self._drawn, self._root = drawn, root
        self._rules = {each.rule.code: each.rule for each in diagnosis.results}
        self._dealt: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._shown = self._listed = 0

    def group(self, nodes: Iterable[Node]) -> Group:
        """The first few findings of each rule in full, the others in a line each."""
        full: list[Card] = []
        rest: dict[str, list[Finding]] = {}
        alike: dict[str, int] = {}
        for node in nodes:
            code = node.finding.rule
            alike[code] = alike.get(code, 0) + 1
            if alike[code] <= ALIKE and self._shown < IN_FULL:
                full.append(self._card(node))
                continue
            for each in node.walk():
                rest.setdefault(each.rule, []).append(each)
        return Group(tuple(full), tuple(self._more(each) for each in rest.values()))

    def _more(self, findings: list[Finding]) -> More:
        taken = findings[: max(0, LISTED - self._listed)]
        self._listed += len(taken)
        rows = tuple(
            Row(self._anchor(each), severity(each).value, place(each), sentence(each.message)) for each in taken
        )
        grades = tuple(sorted({severity(each).value for each in findings}))
        return More(findings[0].rule, findings[0].name, rows, len(findings) - len(taken), grades)

    def _card(self, node: Node) -> Card:
        finding, at, fix = node.finding, node.finding.location, node.finding.fix or Fix("")
        self._shown += 1
        figure = self._figure(finding)
        mine = figure is not None and figure.id not in self._dealt
        if figure and mine:
            self._dealt.add(figure.id)
        manual = self._manual(finding.rule)
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
            why=prose(manual.get("Why it matters", "")),
            manual=tuple((each, prose(manual[each])) for each in MANUAL if manual.get(each)),
            silence=_silence(finding),
            summary=sentence(fix.summary) or None,
            explanation=prose(fix.explanation),
            code=tuple(_code(fix)),
            proven=PROVEN[fix.verified],
            figure=figure if mine else None,
            see=None if mine else figure,
            below=self.group(node.consequences),
        )

    def _manual(self, code: str) -> dict[str, str]:
        """The manual's words, at the rule's first finding only."""
        rule = self._rules.get(code)
        return dict(sections(rule.doc)) if rule and code not in self._numbers else {}

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


def _silence(finding: Finding) -> tuple[tuple[str, str], ...]:
    """Where it can be silenced, and the words that do so."""
    line = (("on the line", f"# dnndoctor: ignore[{finding.rule}]"),) if finding.location else ()
    once = ("in one examination", f"--ignore {finding.rule}")
    return (*line, once, ("in pyproject.toml", f'[tool.dnndoctor]\nignore = ["{finding.rule}"]'))


def _code(fix: Fix) -> Iterator[tuple[str, str]]:
    kinds = {"+": "added", "-": "removed", "@": "hunk"}
    for line in printable(fix.diff or fix.code or "").rstrip("\n").splitlines():
        header = line.startswith(("+++", "---"))
        yield ("hunk" if header else kinds.get(line[:1], "")) if fix.diff else "", line
