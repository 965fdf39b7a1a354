"""A comparison as a page of its own, in the style of the report."""

from dataclasses import dataclass, replace
from pathlib import Path

from dnndoctor.comparison import Change, Comparison, Stayed
from dnndoctor.findings import Severity
from dnndoctor.reports.comparison import caution, facts, graver_first, headline, moved, note
from dnndoctor.reports.comparison.curves import curves
from dnndoctor.reports.comparison.terminal import LABELS, shown
from dnndoctor.reports.html import rendered
from dnndoctor.reports.html.cards import Group as Found
from dnndoctor.reports.html.cards import cards
from dnndoctor.reports.html.figures.figure import Figure
from dnndoctor.reports.words import place, printable, sentence, severity


@dataclass(frozen=True, slots=True)
class Item:
    """A finding in a list; ``note``: what is to be said of it beside its message."""

    id: str
    rule: str
    name: str
    grade: str
    message: str
    place: str
    note: str


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one kind."""

    id: str
    title: str
    lead: str
    entries: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page. ``earlier``: why rules whose findings came said nothing before, by code."""

    title: str
    tone: str
    verdict: str
    sides: tuple[tuple[str, str, str], ...]
    cautions: tuple[str, ...]
    came: Found
    came_count: int
    earlier: tuple[tuple[str, str], ...]
    groups: tuple[Group, ...]
    turns: tuple[tuple[str, str, str, str, str], ...]
    facts: tuple[tuple[str, str, str], ...]
    figures: tuple[Figure, ...]


def render(comparison: Comparison, root: Path | None = None) -> str:
    """The page; complete without JavaScript. Source of what came is read from files relative to ``root``."""
    return rendered("comparison.html.j2", page=_page(comparison, root))


def _page(comparison: Comparison, root: Path | None) -> Page:
    before, after = comparison.before, comparison.after
    return Page(
        title=printable(f"{before.run.recording or before.target.path} and {after.run.recording or after.target.path}"),
        tone=_tone(comparison),
        verdict=headline(comparison),
        sides=tuple(
            (name, printable(" ".join((each.target.path, *each.target.args))), printable(each.run.recording or ""))
            for name, each in (("before", before), ("after", after))
        ),
        cautions=tuple(sentence(each) for each in caution(comparison)),
        came=cards(replace(after, findings=tuple(each.finding for each in comparison.came)), (), root),
        came_count=len(comparison.came),
        earlier=tuple(dict.fromkeys((e.finding.rule, sentence(e.reason)) for e in comparison.came if e.reason)),
        groups=tuple(each for each in _groups(comparison) if each.entries),
        turns=tuple(
            (printable(e.title), e.before.value, _label(e.before.value), e.after.value, _label(e.after.value))
            for e in comparison.turns
        ),
        facts=tuple((e.name, shown(e.before, e.unit), shown(e.after, e.unit)) for e in facts(comparison)),
        figures=curves(comparison),
    )


def _label(verdict: str) -> str:
    return LABELS.get(verdict, verdict)


def _tone(comparison: Comparison) -> str:
    grades = {severity(each.finding) for each in comparison.came}
    grades |= {severity(each.after) for each in comparison.stayed if each.graver}
    if Severity.ERROR in grades:
        return "fail"
    if Severity.WARNING in grades:
        return "warn"
    better = any(severity(each.finding) is not Severity.INFO for each in comparison.gone)
    return "pass" if better and not comparison.unjudged else "not-examined"


def _groups(comparison: Comparison) -> tuple[Group, ...]:
    gone = [_changed(each, f"gone-{n}", "now ") for n, each in enumerate(graver_first(comparison.gone), 1)]
    unseen = [_changed(each, f"unjudged-{n}", "now ") for n, each in enumerate(comparison.unjudged, 1)]
    stayed = [_stayed(each, f"stayed-{n}") for n, each in enumerate(comparison.stayed, 1)]
    return (
        Group("gone", "Gone", "Found before, looked for again, and not there any more.", tuple(gone)),
        Group("unjudged", "Not looked for again", "Found before; nothing can be said about them after.", tuple(unseen)),
        Group("stayed", "Stayed", "Found before and after.", tuple(stayed)),
    )


def _changed(change: Change, anchor: str, lead: str) -> Item:
    finding = change.finding
    return Item(
        anchor,
        finding.rule,
        finding.name,
        severity(finding).value,
        sentence(finding.message),
        place(finding),
        sentence(note(change, lead)),
    )


def _stayed(stayed: Stayed, anchor: str) -> Item:
    finding = stayed.after
    grade = severity(finding).value
    said = sentence(moved(stayed))
    return Item(anchor, finding.rule, finding.name, grade, sentence(finding.message), place(finding), said)
