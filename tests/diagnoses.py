"""Diagnoses of literal findings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dnndoctor.diagnosis import Diagnosis, Outcome, RunFacts, Target, diagnose
from dnndoctor.findings import Evidence, Finding, Location, Severity
from dnndoctor.registry import load_rules
from dnndoctor.rule import Result, State


def found(
    code: str, severity: Severity = Severity.ERROR, *, line: int = 3, value: float = 1.0, **changes: Any
) -> Finding:
    known = load_rules()[code]
    return Finding(
        f"measured {value:g}",
        Location("train.py", line),
        evidence=(Evidence("figure", value),),
        severity=severity,
        rule=code,
        name=known.name,
        practice=known.practice,
        **changes,
    )


def ran(
    *findings: Finding, unjudged: tuple[str, ...] = (), outcome: Outcome = Outcome.EXAMINED, **facts: Any
) -> Diagnosis:
    """One run, in which these rules took part."""
    results = []
    for code in ("INI102", "ACT101", "LRN101"):
        mine = tuple(each for each in findings if each.rule == code)
        state = State.NOT_EXAMINED if code in unjudged else State.FINDING if mine else State.PASS
        results.append(Result(load_rules()[code], state, "no time" if code in unjudged else None, mine))
    run = replace(RunFacts("cpu", 50, 2.0, "x.dnnrec"), **facts)
    return diagnose(
        Target("train.py", outcome=outcome, reason=None if outcome is Outcome.EXAMINED else "why"), run, {}, results
    )
