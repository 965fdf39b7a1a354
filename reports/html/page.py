"""What the page's template is filled with: every choice is made here, none in the template."""

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from dnndoctor import __version__
from dnndoctor.diagnosis import Diagnosis, Outcome, Practice, RunFacts, Verdict
from dnndoctor.findings import Severity
from dnndoctor.measurements import Run
from dnndoctor.median import told
from dnndoctor.reports.html.cards import Card, Rest, cards, rest
from dnndoctor.reports.html.figures import figures
from dnndoctor.reports.html.figures.figure import SECTIONS, Figure, taken
from dnndoctor.reports.loop import described
from dnndoctor.reports.words import figure as number
from dnndoctor.reports.words import first_step, headline, plural, printable, sentence, severity
from dnndoctor.rule import Result, State


@dataclass(frozen=True, slots=True)
class Entry:
    """A practice in the table of contents; ``note``: its codes, or why it was not judged."""

    title: str
    verdict: str
    label: str
    note: str
    target: str


@dataclass(frozen=True, slots=True)
class RuleList:
    """The rules that ended in one state: code, name, the fault in words, and the reason."""

    id: str
    title: str
    lead: str
    rules: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Figures and tables about one thing."""

    id: str
    title: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page.

    ``cause``, ``first`` and ``gain``: what the first finding says, what to do about it, and what that will bring;
    ``brought``: the findings that hang under it. ``glance``: the gravest other ones, a line each. ``tally``: findings
    by severity. ``rest``: those without a card. ``again``: commands that make this examination, or this report of it,
    once more.
    """

    target: str
    command: str
    verdict: str
    tone: str
    cause: str | None
    first: str | None
    gain: str | None
    brought: tuple[tuple[str, str], ...]
    glance: tuple[Card, ...]
    tally: tuple[tuple[str, int], ...]
    contents: tuple[Entry, ...]
    cards: tuple[Card, ...]
    rest: tuple[Rest, ...]
    lists: tuple[RuleList, ...]
    sections: tuple[Section, ...]
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    again: tuple[tuple[str, str], ...]
    loop: tuple[tuple[str, str], ...]
    log: tuple[str, str] | None


MOST_AT_A_GLANCE = 8
LABELS = {
    Verdict.PASS: "pass",
    Verdict.WARN: "warning",
    Verdict.FAIL: "fail",
    Verdict.NOT_APPLICABLE: "not applicable",
    Verdict.NOT_EXAMINED: "not examined",
}
LISTS = (
    (State.CRASHED, "crashed", "Crashed", "Rules that failed by a bug of dnndoctor; nothing is said about them."),
    (State.PASS, "passed", "Passed", "Faults that were looked for and not found."),
    (State.NOT_EXAMINED, "not-examined", "Not examined", "Nothing can be said about these faults."),
    (State.NOT_APPLICABLE, "not-applicable", "Not applicable", "There is nothing here that these rules could judge."),
)


def page(diagnosis: Diagnosis, root: Path | None, folder: Path | None = None) -> Page:
    """Everything that the template shows, in order; ``folder``: where the page will lie, for links to other files."""
    drawn = figures(diagnosis.measurements, [each.subject for each in diagnosis.findings if each.subject])
    shown = cards(diagnosis, drawn, root)
    beside = {each.figure.id for card in shown for each in card.walk() if each.figure}
    return Page(
        target=printable(diagnosis.target.path),
        command=printable(" ".join((diagnosis.target.path, *diagnosis.target.args))),
        verdict=headline(diagnosis),
        tone=_tone(diagnosis),
        cause=shown[0].message if shown else None,
        first=sentence(first_step(diagnosis) or "") or None,
        gain=sentence(shown[0].explanation) or None if shown else None,
        brought=tuple((each.id, each.rule) for each in tuple(shown[0].walk())[1:]) if shown else (),
        glance=shown[1 : 1 + MOST_AT_A_GLANCE],
        tally=tuple((each.value, count) for each in Severity if (count := diagnosis.count(each))),
        contents=tuple(_entry(each, shown) for each in diagnosis.practices),
        cards=shown,
        rest=rest(diagnosis),
        lists=tuple(each for each in _lists(diagnosis) if each.rules),
        sections=tuple(_sections([each for each in drawn if each.id not in beside])),
        facts=tuple(_facts(diagnosis)),
        notes=tuple(sentence(each) for each in diagnosis.run.notes),
        again=tuple(_again(diagnosis)),
        loop=(*described(replace(diagnosis.run, log=None)), *_repeats(diagnosis.run)),
        log=_log(diagnosis.run.log, root, folder),
    )


def _sections(drawn: list[Figure]) -> Iterator[Section]:
    for name, title in SECTIONS:
        mine = tuple(each for each in drawn if each.section == name)
        if mine:
            yield Section(f"section-{name}", title, mine)


def _again(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    """What to type for the same examination; a run that was not seeded draws other numbers."""
    target, run = diagnosis.target, diagnosis.run
    if target.kind in ("script", "module"):
        seed = f" --seed {run.seed}" if run.seed is not None else ""
        module = "-m " if target.kind == "module" else ""
        words = f" -- {shlex.join(target.args)}" if target.args else ""
        yield "Examine again", printable(f"dnndoctor check {module}{shlex.quote(target.path)}{seed}{words}")
    if run.recording:
        page = f"dnndoctor report {shlex.quote(run.recording)} --html report.html"
        yield "This report from its recording", printable(page)


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


def _entry(practice: Practice, shown: tuple[Card, ...]) -> Entry:
    mine = [each.id for card in shown for each in card.walk() if each.practice == practice.id]
    codes = ", ".join(each.rule.code for each in practice.results if each.findings)
    unjudged = practice.verdict in (Verdict.NOT_APPLICABLE, Verdict.NOT_EXAMINED)
    elsewhere = practice.verdict.value if unjudged else "findings" if codes else "passed"
    target = mine[0] if mine else elsewhere
    note = printable(practice.reason or "") if unjudged else codes
    return Entry(printable(practice.title), practice.verdict.value, LABELS[practice.verdict], note, target)


def _lists(diagnosis: Diagnosis) -> Iterator[RuleList]:
    for state, identity, title, lead in LISTS:
        rules = tuple(_listed(each) for each in diagnosis.results if each.state is state)
        yield RuleList(identity, title, lead, rules)


def _listed(result: Result) -> tuple[str, str, str, str]:
    rule = result.rule
    return rule.code, rule.name, rule.title, sentence(result.reason or "")


def _facts(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    run, seen = diagnosis.run, taken(diagnosis.measurements, Run)
    yield "Examined", f"{printable(diagnosis.target.path)} ({printable(diagnosis.target.kind)})"
    yield "Device", printable(run.device)
    if seen and seen.accelerator:
        yield "Accelerator", printable(seen.accelerator)
    yield "Observed", plural(run.steps_observed, "step")
    phases = ", ".join(f"{printable(phase)} {number(round(s, 2))} s" for phase, s in run.phases.items())
    yield "Time", f"{number(round(run.wall_seconds, 1))} s" + (f": {phases}" if phases else "")
    if run.recording:
        yield "Recording", printable(run.recording)
    versions = [f"dnndoctor {__version__}"]
    versions += [f"PyTorch {seen.torch_version}"] if seen and seen.torch_version else []
    versions += [f"Python {seen.python_version}"] if seen and seen.python_version else []
    yield "Versions", printable(", ".join(versions))
    yield "Seed", str(run.seed) if run.seed is not None else "the script's own, or none; --seed N sets one"
