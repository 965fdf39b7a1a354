"""What the page's template is filled with: every choice is made here, none in the template."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from dnndoctor import __version__
from dnndoctor.diagnosis import Diagnosis, Outcome, Practice, RunFacts, Verdict
from dnndoctor.findings import Severity
from dnndoctor.measurements import Run
from dnndoctor.median import told
from dnndoctor.reports.html.cards import Group, cards
from dnndoctor.reports.html.figures import figures
from dnndoctor.reports.html.figures.figure import SECTIONS, Figure, taken
from dnndoctor.reports.html.head import First, Later, commands, first, later
from dnndoctor.reports.html.lists import RuleList, lists
from dnndoctor.reports.loop import described
from dnndoctor.reports.words import figure as number
from dnndoctor.reports.words import headline, plural, printable, sentence, severity


@dataclass(frozen=True, slots=True)
class Entry:
    """A practice in the table of contents; ``note``: its codes, or why it was not judged."""

    title: str
    verdict: str
    label: str
    note: str
    target: str


@dataclass(frozen=True, slots=True)
class Section:
    """Figures that belong together; ``elsewhere`` are those of them that stand beside a finding."""

    id: str
    title: str
    figures: tuple[Figure, ...]
    elsewhere: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page. ``grades``: severity, its label and how many findings have it, where there are several."""

    target: str
    command: str
    verdict: str
    tone: str
    first: First | None
    later: tuple[Later, ...]
    unlisted: int
    contents: tuple[Entry, ...]
    grades: tuple[tuple[str, str], ...]
    findings: Group
    sections: tuple[Section, ...]
    lists: tuple[RuleList, ...]
    facts: tuple[tuple[str, str], ...]
    commands: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    loop: tuple[tuple[str, str], ...]
    log: tuple[str, str] | None


LABELS = {
    Verdict.PASS: "pass",
    Verdict.WARN: "warning",
    Verdict.FAIL: "fail",
    Verdict.NOT_APPLICABLE: "not applicable",
    Verdict.NOT_EXAMINED: "not examined",
}
GRADES = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def page(diagnosis: Diagnosis, root: Path | None, folder: Path | None = None) -> Page:
    """Everything that the template shows, in order; ``folder``: where the page will lie, for links to other files."""
    drawn = figures(diagnosis.measurements, [each.subject for each in diagnosis.findings if each.subject])
    found = cards(diagnosis, drawn, root)
    after, unlisted = later(found)
    return Page(
        target=printable(diagnosis.target.path),
        command=printable(" ".join((diagnosis.target.path, *diagnosis.target.args))),
        verdict=headline(diagnosis),
        tone=_tone(diagnosis),
        first=first(found),
        later=after,
        unlisted=unlisted,
        contents=tuple(_entry(each, found) for each in diagnosis.practices),
        grades=_grades(diagnosis),
        findings=found,
        sections=tuple(_sections(drawn, {each.figure.id for each in found.walk() if each.figure})),
        lists=tuple(lists(diagnosis)),
        facts=tuple(_facts(diagnosis)),
        commands=commands(diagnosis),
        notes=tuple(sentence(each) for each in diagnosis.run.notes),
        loop=(*described(replace(diagnosis.run, log=None)), *_repeats(diagnosis.run)),
        log=_log(diagnosis.run.log, root, folder),
    )


def _log(log: str | None, root: Path | None, folder: Path | None) -> tuple[str, str] | None:
    """The program's own output: its path, and the link to it from the page's folder."""
    if log is None:
        return None
    base = (root or Path()).resolve()
    link = os.path.relpath(base / log, (folder or base).resolve()).replace(os.sep, "/")
    return printable(log), quote(link, errors="surrogateescape")


def _repeats(run: RunFacts) -> Iterator[tuple[str, str]]:
    """What a merge's reader asks of a verdict: on how many runs it stands, and what flipped."""
    if run.repeats is not None:
        yield "runs", " ".join(sentence(each) for each in told(run.repeats))


def _tone(diagnosis: Diagnosis) -> str:
    grades = {severity(each) for each in diagnosis.findings}
    if Severity.ERROR in grades:
        return "fail"
    if Severity.WARNING in grades or diagnosis.target.outcome is Outcome.PARTLY:
        return "warn"
    judged = any(each.verdict is Verdict.PASS for each in diagnosis.practices)
    return "pass" if judged and diagnosis.target.outcome is Outcome.EXAMINED else "not-examined"


def _grades(diagnosis: Diagnosis) -> tuple[tuple[str, str], ...]:
    """What the reader can choose between; nothing where all findings are alike."""
    tally = {grade: sum(severity(each) is grade for each in diagnosis.findings) for grade in GRADES}
    found = tuple((grade.value, plural(count, GRADES[grade])) for grade, count in tally.items() if count)
    return found if len(found) > 1 else ()


def _entry(practice: Practice, found: Group) -> Entry:
    mine = [each.id for each in found.walk() if each.practice == practice.id]
    codes = ", ".join(each.rule.code for each in practice.results if each.findings)
    unjudged = practice.verdict in (Verdict.NOT_APPLICABLE, Verdict.NOT_EXAMINED)
    fallback = practice.verdict.value if unjudged else "findings" if codes else "passed"
    note = printable(practice.reason or "") if unjudged else codes
    target = mine[0] if mine else fallback
    return Entry(printable(practice.title), practice.verdict.value, LABELS[practice.verdict], note, target)


def _sections(drawn: tuple[Figure, ...], beside: set[str]) -> Iterator[Section]:
    for name, title in SECTIONS:
        mine = [each for each in drawn if each.section == name]
        here = tuple(each for each in mine if each.id not in beside)
        # Where figures of all kinds stand, nobody looks for a particular one.
        elsewhere = () if name == SECTIONS[-1][0] else tuple(each for each in mine if each.id in beside)
        if here or elsewhere:
            yield Section(name, title, here, elsewhere)


def _facts(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    run, seen = diagnosis.run, taken(diagnosis.measurements, Run)
    yield "Examined", f"{printable(diagnosis.target.path)} ({printable(diagnosis.target.kind)})"
    yield "Device", printable(run.device)
    if seen and seen.accelerator:
        yield "Accelerator", printable(seen.accelerator)
    yield "Observed", plural(run.steps_observed, "step")
    phases = ", ".join(f"{printable(phase)} {number(round(s, 2))} s" for phase, s in run.phases.items())
    yield "Time", f"{number(round(run.wall_seconds, 1))} s" + (f": {phases}" if phases else "")
    yield "Seed", str(run.seed) if run.seed is not None else "the script's own, or none; --seed N sets one"
    if run.recording:
        yield "Recording", printable(run.recording)
    versions = [f"dnndoctor {__version__}"]
    versions += [f"PyTorch {seen.torch_version}"] if seen and seen.torch_version else []
    versions += [f"Python {seen.python_version}"] if seen and seen.python_version else []
    yield "Versions", printable(", ".join(versions))
