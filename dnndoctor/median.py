"""One diagnosis from several examinations of the same program: what most of them say, and what they disagree on.

A run draws random numbers, and a figure close to its threshold falls on either side of it. Of an even number of runs
the milder half decides, so that a merge fails only for what most runs show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from dnndoctor.diagnosis import Diagnosis, Flip, Outcome, Repeats, diagnose
from dnndoctor.findings import Finding, Severity
from dnndoctor.rule import Result, Rule, State

Key = tuple[str, str | None, int | None, str | None]
NOTHING = len(Severity)  # the grade of a rule that found nothing: milder than any severity


def median(runs: Sequence[Diagnosis], planned: int, *, interrupted: bool = False) -> Diagnosis:
    """What most of the runs say; figures and drawings are those of the run that is most like it.

    ``planned``: as many runs as were asked for; fewer suffice where these agree. ``interrupted``: the
    others were not made, so that they might have changed it.
    """
    results = tuple(_median_result([_results(run)[rule.code] for run in runs]) for rule in _rules(runs))
    chosen = _most_like(runs, results)
    flips = tuple(_flips(runs, results))
    repeats = Repeats(
        len(runs), planned, flips, tuple(run.run.recording for run in runs if run.run.recording), interrupted
    )
    wall = sum(run.run.wall_seconds for run in runs)
    notes = (*told(repeats), *_shared_notes(runs, chosen), *_outcomes(runs))
    facts = replace(chosen.run, wall_seconds=wall, notes=notes, repeats=repeats)
    return diagnose(chosen.target, facts, chosen.measurements, results)


def settled(runs: Sequence[Diagnosis], planned: int) -> bool:
    """Whether the runs still to come could change nothing: more than half of all agree in every rule."""
    return len(runs) > planned // 2 and all(_said(run) == _said(runs[0]) for run in runs)


def told(repeats: Repeats) -> Iterator[str]:
    """In words, what was repeated and what flipped."""
    runs = f"{repeats.runs} run{'s' if repeats.runs > 1 else ''}"
    if repeats.interrupted:
        yield f"interrupted: judged by {runs} of {repeats.planned}"
    elif repeats.runs < repeats.planned:
        yield f"median of {runs} of {repeats.planned}: they agree, so the others were left out; each has other seeds"
    else:
        yield f"median of {runs}; each has other seeds"
    for each in repeats.flips:
        found = f"{each.rule} {each.name} came in {each.found} of {each.judged} runs"
        if each.found == each.judged:
            yield f"{each.rule} {each.name} was graded {', '.join(each.grades)} in turn"
        else:
            yield f"{found} and stands" if each.stands else f"{found} and was left out"


def _rules(runs: Sequence[Diagnosis]) -> list[Rule]:
    return [each.rule for each in runs[0].results]


def _results(run: Diagnosis) -> dict[str, Result]:
    return {each.rule.code: each for each in run.results}


def _key(finding: Finding) -> Key:
    place = finding.location
    return finding.rule, place.file if place else None, place.line if place else None, finding.subject


def _rank(finding: Finding) -> int:
    return (finding.severity or Severity.INFO).rank


def _grade(result: Result) -> int:
    return min((_rank(each) for each in result.findings), default=NOTHING)


def _milder_half(grades: Iterable[int]) -> int:
    ordered = sorted(grades, reverse=True)
    return ordered[(len(ordered) - 1) // 2]


def _judged(results: Iterable[Result]) -> list[Result]:
    return [each for each in results if each.state in (State.FINDING, State.PASS)]


def _median_result(results: list[Result]) -> Result:
    crashed = [each for each in results if each.state is State.CRASHED]
    if crashed:
        return crashed[0]
    judged = _judged(results)
    if 2 * len(judged) < len(results):
        states = Counter(each.state for each in results if each not in judged)
        return next(each for each in results if each.state is states.most_common(1)[0][0])
    grade = _milder_half(_grade(each) for each in judged)
    if grade == NOTHING:
        return Result(judged[0].rule, State.PASS)
    return Result(judged[0].rule, State.FINDING, None, _median_findings(judged, grade))


def _median_findings(judged: list[Result], grade: int) -> tuple[Finding, ...]:
    """Those that most runs have; where each run has others, those of the first run that is graded so."""
    by_key: dict[tuple[Key, int], list[Finding]] = {}
    for result in judged:
        seen: Counter[Key] = Counter()
        for finding in result.findings:
            key = _key(finding)
            by_key.setdefault((key, seen[key]), []).append(finding)
            seen[key] += 1  # several of one place are told apart by their order
    usual = [found for found in by_key.values() if 2 * len(found) > len(judged)]
    if not usual:
        return next(each.findings for each in judged if _grade(each) == grade)
    return tuple(_median_finding(found, len(judged)) for found in usual)


def _median_finding(found: list[Finding], runs: int) -> Finding:
    grade = _milder_half([*map(_rank, found), *[NOTHING] * (runs - len(found))])
    alike = [each for each in found if _rank(each) == grade]
    alike.sort(key=lambda each: each.evidence[0].value if each.evidence else 0.0)
    return alike[(len(alike) - 1) // 2]


def _most_like(runs: Sequence[Diagnosis], results: tuple[Result, ...]) -> Diagnosis:
    order = list(Outcome)
    outcome = order[sorted(order.index(run.target.outcome) for run in runs)[(len(runs) - 1) // 2]]

    def differences(run: Diagnosis) -> int:
        mine = _results(run)
        return sum(_grade(mine[each.rule.code]) != _grade(each) for each in results)

    return min((run for run in runs if run.target.outcome is outcome), key=differences)


def _flips(runs: Sequence[Diagnosis], results: tuple[Result, ...]) -> Iterator[Flip]:
    """Rules whose runs disagree about a fault; remarks, which fail nothing, may come and go."""
    for result in results:
        judged = _judged(_results(run)[result.rule.code] for run in runs)
        grades = [_grade(each) for each in judged]
        if len(set(grades)) < 2 or min(grades) >= Severity.INFO.rank:
            continue
        words = tuple(str(list(Severity)[each]) if each < NOTHING else "nothing" for each in grades)
        found = sum(each < NOTHING for each in grades)
        yield Flip(result.rule.code, result.rule.name, found, len(judged), bool(result.findings), words)


def _shared_notes(runs: Sequence[Diagnosis], chosen: Diagnosis) -> list[str]:
    """Notes of one run alone ("this comment silences nothing") may only be true of that one."""
    return [note for note in chosen.run.notes if 2 * sum(note in run.run.notes for run in runs) > len(runs)]


def _outcomes(runs: Sequence[Diagnosis]) -> Iterator[str]:
    for number, run in enumerate(runs, start=1):
        if run.target.outcome is not Outcome.EXAMINED:
            yield f"run {number} was {run.target.outcome}: {run.target.reason or 'no reason was recorded'}"


def _said(run: Diagnosis) -> tuple[object, ...]:
    def grave(finding: Finding) -> bool:
        return _rank(finding) < Severity.INFO.rank

    faults = frozenset((_key(each), _rank(each)) for each in run.findings if grave(each))
    states = tuple(each.state if each.state is State.CRASHED else None for each in run.results)
    return run.target.outcome, faults, states
