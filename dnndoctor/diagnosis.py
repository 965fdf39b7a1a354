"""From rule results to a diagnosis: findings in order, causes above consequences, a verdict per practice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from dnndoctor.causes import CAUSES, OUTCOMES, layer
from dnndoctor.findings import Finding, Severity
from dnndoctor.measurements.found import TrainingLoop
from dnndoctor.measurements.logged import Course
from dnndoctor.registry import practices, practices_order
from dnndoctor.rule import Measurements, Result, Rule, State


class Outcome(StrEnum):
    """How far the examination came."""

    EXAMINED = "examined"
    PARTLY = "partly-examined"
    NOT = "not-examined"


class Verdict(StrEnum):
    """What is said of a practice."""

    FAIL = "fail"
    WARN = "warn"
    PASS = "pass"  # noqa: S105 - a verdict, no password
    NOT_APPLICABLE = "not-applicable"
    NOT_EXAMINED = "not-examined"


@dataclass(frozen=True, slots=True)
class Target:
    """What was examined; ``path`` is relative to the working directory."""

    path: str
    args: tuple[str, ...] = ()
    kind: str = "script"
    outcome: Outcome = Outcome.EXAMINED
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Flip:
    """A rule on which repeated runs disagree; ``grades`` are those of the ``judged`` runs, in turn."""

    rule: str
    name: str
    found: int
    judged: int
    stands: bool
    grades: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Repeats:
    """Several runs judged as one: how many there were of those that were asked for, and where they disagree."""

    runs: int
    planned: int
    flips: tuple[Flip, ...] = ()
    recordings: tuple[str, ...] = ()
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The examination itself; ``phases`` are seconds by phase, ``notes`` what a reader should know about it.

    ``loop``: the training loop that was found, None if none was. ``log``: the file that holds the program's own output.
    ``seed``: torch was seeded with it before the script began, None if it was not.
    ``sources``: digests of the user's files as they were examined.
    ``repeats``: the runs that this is the median of, None for a single one.
    ``course``: the whole run, where it was read from its logs or recorded in flight. ``overhead``: the share of its
    time that the flight recorder took, None where none flew along. ``ended_by``: what ended it, other than its own end.
    """

    device: str
    steps_observed: int
    wall_seconds: float
    recording: str | None
    phases: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    loop: TrainingLoop | None = None
    log: str | None = None
    seed: int | None = None
    repeats: Repeats | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    course: Course | None = None
    overhead: float | None = None
    ended_by: str | None = None


@dataclass(frozen=True, slots=True)
class Practice:
    """One practice's verdict; ``reason`` says why there is none, or what decided it."""

    id: str
    title: str
    verdict: Verdict
    reason: str | None
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that a report shows. ``findings`` come causes first, then by severity.

    ``known``: those that a baseline holds; they are in no other list. ``baseline``: its file, as people know it.
    """

    target: Target
    run: RunFacts
    practices: tuple[Practice, ...]
    results: tuple[Result, ...]
    findings: tuple[Finding, ...]
    measurements: Measurements = field(compare=False, repr=False, default_factory=dict)
    known: tuple[Finding, ...] = ()
    baseline: str | None = None

    def count(self, severity: Severity) -> int:
        """How many findings have this severity."""
        return sum(each.severity == severity for each in self.findings)

    def consequences(self, cause: Finding) -> tuple[Finding, ...]:
        """The findings that this one brought about."""
        return tuple(each for each in self.findings if each.caused_by == cause.rule)

    @property
    def roots(self) -> tuple[Finding, ...]:
        """The findings that no other one explains."""
        return tuple(each for each in self.findings if each.caused_by is None)

    @property
    def crashed(self) -> tuple[Result, ...]:
        """Rules that failed by a bug of ours."""
        return tuple(each for each in self.results if each.state is State.CRASHED)


def judge(
    measurements: Measurements, rules: Iterable[Rule], thresholds: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[Result, ...]:
    """Evaluate every rule; ``thresholds`` are settings by rule code."""
    thresholds = thresholds or {}
    return tuple(each.evaluate(measurements, thresholds.get(each.code)) for each in rules)


def diagnose(target: Target, run: RunFacts, measurements: Measurements, results: Iterable[Result]) -> Diagnosis:
    """Order what the rules found and give every practice its verdict."""
    results = tuple(results)
    found = _with_causes([finding for result in results for finding in result.findings])
    return Diagnosis(target, run, _verdicts(results), results, _ordered(found), measurements)


def _with_causes(findings: list[Finding]) -> list[Finding]:
    seen = {each.rule for each in findings}
    return [
        replace(each, caused_by=each.caused_by or next((c for c in CAUSES.get(each.rule, ()) if c in seen), None))
        for each in findings
    ]


def _ordered(findings: list[Finding]) -> tuple[Finding, ...]:
    """Gravest root cause first; a root is as grave as the gravest thing that it brought about.

    Of equally grave ones an outcome comes last. What is grave by itself comes before what is so by what it brought
    about, a fact before a condition, and what explains more before what explains less.
    """
    own = {f.rule: _rank(f) for f in sorted(findings, key=_rank, reverse=True)}
    causes = {each.rule: each.caused_by for each in findings}
    explained = Counter(_root(each, causes) for each in findings)
    gravest = dict(own)
    for each in findings:
        root = _root(each, causes)
        gravest[root] = min(gravest.get(root, _rank(each)), _rank(each))

    practice_of = {each.rule: each.practice for each in reversed(findings)}

    def weight(finding: Finding) -> tuple[int | str, ...]:
        root = _root(finding, causes)
        order = practices_order(practice_of[root])
        first = (gravest[root], root in OUTCOMES, own[root], layer(root), -explained[root], order, root)
        return (*first, finding.rule != root, _rank(finding), finding.rule)

    return tuple(sorted(findings, key=weight))


def _rank(finding: Finding) -> int:
    return (finding.severity or Severity.INFO).rank


def _root(finding: Finding, causes: Mapping[str, str | None]) -> str:
    here, seen = finding.rule, {finding.rule}
    while (cause := causes.get(here)) is not None and cause in causes and cause not in seen:
        here = cause
        seen.add(here)
    return here


def _verdicts(results: tuple[Result, ...]) -> tuple[Practice, ...]:
    by_practice: dict[str, list[Result]] = {}
    for each in results:
        by_practice.setdefault(each.rule.practice, []).append(each)
    titles = practices()
    return tuple(
        Practice(name, titles.get(name, name.replace("-", " ").capitalize()), *_verdict(group), tuple(group))
        for name, group in sorted(by_practice.items(), key=lambda item: practices_order(item[0]))
    )


def _verdict(results: list[Result]) -> tuple[Verdict, str | None]:
    worst = min((f.severity.rank for r in results for f in r.findings if f.severity), default=None)
    if worst == Severity.ERROR.rank:
        return Verdict.FAIL, None
    if worst == Severity.WARNING.rank:
        return Verdict.WARN, None
    if any(each.state in (State.PASS, State.FINDING) for each in results):
        return Verdict.PASS, None
    unseen = [each for each in results if each.state in (State.NOT_EXAMINED, State.CRASHED)]
    if unseen:
        return Verdict.NOT_EXAMINED, unseen[0].reason
    return Verdict.NOT_APPLICABLE, results[0].reason
