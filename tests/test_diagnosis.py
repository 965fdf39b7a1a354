"""Causes above consequences, the gravest root first; each practice with its verdict."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dnndoctor.causes import CAUSES, OUTCOMES, layer, unknown
from dnndoctor.diagnosis import Diagnosis, RunFacts, Target, diagnose
from dnndoctor.findings import Finding, Severity
from dnndoctor.registry import load_rules
from dnndoctor.rule import Result, State

FACTS = RunFacts("cpu", 50, 1.0, None)


def result(code: str, severity: Severity) -> Result:
    known = load_rules()[code]
    finding = Finding("what was measured", rule=code, name=known.name, practice=known.practice, severity=severity)
    return Result(known, State.FINDING, None, (finding,))


def diagnosed(**found: str) -> Diagnosis:
    results = [result(code, Severity(severity)) for code, severity in found.items()]
    return diagnose(Target("train.py"), FACTS, {}, results)


def test_every_code_of_the_order_is_a_rule() -> None:
    assert not unknown(set(load_rules()))
    assert set(load_rules()) >= OUTCOMES


def test_nothing_brings_about_itself_by_way_of_others() -> None:
    def reached(code: str, seen: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for cause in CAUSES.get(code, ()):
            if cause in seen:
                yield (*seen, cause)
            else:
                yield from reached(cause, (*seen, cause))

    for code in CAUSES:
        assert not list(reached(code, (code,))), code


def test_a_consequence_hangs_under_its_cause_and_lends_it_its_weight() -> None:
    diagnosis = diagnosed(GRD101="error", INI102="warning", LRN102="error", OPT104="error")
    assert [(f.rule, f.caused_by) for f in diagnosis.findings] == [
        ("OPT104", None),
        ("LRN102", "OPT104"),
        ("INI102", None),
        ("GRD101", "INI102"),
    ]


def test_the_nearest_cause_is_taken() -> None:
    diagnosis = diagnosed(DAT110="warning", INI102="warning", ACT101="warning")
    assert {f.rule: f.caused_by for f in diagnosis.findings} == {"DAT110": None, "INI102": None, "ACT101": "INI102"}


def test_a_fact_comes_before_a_condition_of_the_same_weight() -> None:
    diagnosis = diagnosed(DAT110="warning", LRN101="error", LOS101="error")
    assert [f.rule for f in diagnosis.findings] == ["LOS101", "DAT110", "LRN101"]


def test_of_two_facts_the_one_that_explains_more_comes_first() -> None:
    diagnosis = diagnosed(LOS101="error", LOP101="error", GRD102="warning", LRN101="warning")
    assert diagnosis.findings[0].rule == "LOP101"


@pytest.mark.parametrize(("code", "expected"), [("LOS101", 0), ("ACT101", 1), ("NUM101", 2)])
def test_layers(code: str, expected: int) -> None:
    assert layer(code) == expected
