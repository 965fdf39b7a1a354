"""Findings of two runs: what is the same fault, what came, what is gone, and what nobody looked for."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnndoctor.comparison import Comparison, compare
from dnndoctor.config import FailOn
from dnndoctor.diagnosis import Outcome
from dnndoctor.findings import Finding, Severity
from tests.diagnoses import found, ran

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


def counts(made: Comparison) -> dict[str, int]:
    return {name: len(getattr(made, name)) for name in ("gone", "came", "stayed", "unjudged")}


def only(**wanted: int) -> dict[str, int]:
    return {"gone": 0, "came": 0, "stayed": 0, "unjudged": 0} | wanted


def test_the_same_fault_on_a_moved_line_with_another_figure_stays() -> None:
    made = compare(ran(found("INI102", line=3, value=1.0)), ran(found("INI102", line=40, value=7.0)))
    assert counts(made) == only(stayed=1)
    assert not made.fails(FailOn.INFO)


def test_gone_is_only_what_was_looked_for() -> None:
    sick = ran(found("LRN101"))
    assert counts(compare(sick, ran())) == only(gone=1)
    unseen = compare(sick, ran(unjudged=("LRN101",)))
    assert counts(unseen) == only(unjudged=1)
    assert unseen.unjudged[0].reason == "not examined: no time"


def test_a_rule_that_took_no_part_has_not_looked() -> None:
    sound = ran()
    without = replace(sound, results=tuple(each for each in sound.results if each.rule.code != "LRN101"))
    made = compare(ran(found("LRN101")), without)
    assert [each.reason for each in made.unjudged] == ["its rule took no part"]


def test_what_came_says_if_it_could_not_be_seen_before() -> None:
    made = compare(ran(unjudged=("ACT101",)), ran(found("ACT101")))
    assert [each.reason for each in made.came] == ["not examined: no time"]


def test_subjects_are_told_apart() -> None:
    before = ran(found("INI102", subject="a"), found("INI102", subject="b"))
    made = compare(before, ran(found("INI102", subject="b", line=9), found("INI102", subject="c", line=10)))
    assert [(each.before.subject, each.after.subject) for each in made.stayed] == [("b", "b"), ("a", "c")]
    two = compare(before, ran(found("INI102", subject="c", line=9), found("INI102", subject="d", line=10)))
    assert counts(two) == only(gone=2, came=2)


def test_which_of_equal_layers_is_worst_does_not_matter() -> None:
    made = compare(ran(found("ACT101", subject="layers.3", line=5)), ran(found("ACT101", subject="layers.11", line=6)))
    assert counts(made) == only(stayed=1)


def test_several_on_one_line_are_paired_in_order() -> None:
    three, two = ran(*[found("INI102")] * 3), ran(*[found("INI102")] * 2)
    assert counts(compare(three, two)) == only(stayed=2, gone=1)


def test_it_fails_for_what_came_or_grew() -> None:
    sound, warned, failed = ran(), ran(found("LRN101", WARNING)), ran(found("LRN101", ERROR))
    assert compare(sound, failed).fails(FailOn.ERROR)
    assert not compare(sound, warned).fails(FailOn.ERROR)
    assert compare(sound, warned).fails(FailOn.WARNING)
    assert compare(warned, failed).fails(FailOn.ERROR)
    assert not compare(failed, warned).fails(FailOn.WARNING)
    assert not compare(failed, failed).fails(FailOn.INFO)
    assert not compare(sound, failed).fails(FailOn.NEVER)


def test_practices_that_turned() -> None:
    made = compare(ran(), ran(found("LRN101")))
    assert [(each.before, each.after) for each in made.turns] == [("pass", "fail")]


def test_what_was_not_examined_compares_to_nothing() -> None:
    assert compare(ran(), ran(outcome=Outcome.PARTLY)).examined
    assert not compare(ran(), ran(outcome=Outcome.NOT)).examined


PATIENT = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FINDINGS = st.lists(
    st.builds(
        lambda code, line, subject: found(code, WARNING, line=line, subject=subject),
        st.sampled_from(["INI102", "ACT101", "LRN101"]),
        st.integers(1, 3),
        st.sampled_from(["a", "b", None]),
    ),
    max_size=6,
)


@PATIENT
@given(FINDINGS, FINDINGS)
def test_each_finding_is_told_once(before: list[Finding], after: list[Finding]) -> None:
    made = compare(ran(*before), ran(*after))
    assert len(made.gone) + len(made.unjudged) + len(made.stayed) == len(before)
    assert len(made.came) + len(made.stayed) == len(after)
    assert all(each.before.rule == each.after.rule for each in made.stayed)


@PATIENT
@given(FINDINGS)
def test_nothing_changed_against_itself(findings: list[Finding]) -> None:
    assert counts(compare(ran(*findings), ran(*findings))) == only(stayed=len(findings))
