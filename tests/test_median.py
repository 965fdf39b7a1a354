"""Several runs judged as one: most of them decide, and what flips is said."""

from __future__ import annotations

import json
from itertools import combinations_with_replacement

from dnndoctor.diagnosis import Diagnosis, Outcome
from dnndoctor.findings import Severity
from dnndoctor.median import median, settled
from dnndoctor.reports import html as page
from dnndoctor.reports.json import render
from dnndoctor.rule import State
from tests.diagnoses import found, ran

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


def codes(diagnosis: Diagnosis) -> list[str]:
    return [each.rule for each in diagnosis.findings]


def state(diagnosis: Diagnosis, code: str) -> State:
    return next(each.state for each in diagnosis.results if each.rule.code == code)


def test_what_one_of_three_shows_is_left_out_and_said() -> None:
    made = median([ran(found("LRN101")), ran(), ran()], 3)
    assert codes(made) == []
    assert state(made, "LRN101") is State.PASS
    assert "LRN101 rate-too-high came in 1 of 3 runs and was left out" in made.run.notes


def test_what_two_of_three_show_stands_with_the_median_figure() -> None:
    made = median([ran(), ran(found("LRN101", value=5.0)), ran(found("LRN101", value=2.0))], 3)
    [finding] = made.findings
    assert finding.evidence[0].value == 2.0
    assert "LRN101 rate-too-high came in 2 of 3 runs and stands" in made.run.notes


def test_half_of_the_runs_is_not_most_of_them() -> None:
    assert codes(median([ran(found("LRN101")), ran()], 2)) == []


def test_the_median_severity_decides() -> None:
    runs = [ran(found("LRN101", each)) for each in (ERROR, WARNING, WARNING)]
    made = median(runs, 3)
    assert [each.severity for each in made.findings] == [WARNING]
    assert "LRN101 rate-too-high was graded error, warning, warning in turn" in made.run.notes


def test_places_that_wander_from_run_to_run_are_those_of_one_run() -> None:
    made = median([ran(found("ACT101", line=line)) for line in (3, 4, 5)], 3)
    assert [each.location.line for each in made.findings if each.location] == [3]
    assert not made.run.repeats or not made.run.repeats.flips


def test_several_of_one_place_all_stand() -> None:
    runs = [ran(*[found("ACT101")] * count) for count in (3, 2, 1)]
    assert codes(median(runs, 3)) == ["ACT101"] * 2


def test_a_run_that_could_not_judge_has_no_vote() -> None:
    made = median([ran(found("LRN101")), ran(found("LRN101")), ran(unjudged=("LRN101",))], 3)
    assert codes(made) == ["LRN101"]
    assert not any("LRN101" in note for note in made.run.notes)


def test_what_few_runs_could_judge_was_not_examined() -> None:
    made = median([ran(found("LRN101")), *[ran(unjudged=("LRN101",))] * 2], 3)
    assert state(made, "LRN101") is State.NOT_EXAMINED
    assert codes(made) == []


def test_a_cause_that_was_left_out_leaves_its_consequence_standing() -> None:
    both, alone = ran(found("INI102"), found("ACT101")), ran(found("ACT101"))
    assert [each.caused_by for each in both.findings] == [None, "INI102"]
    assert [each.caused_by for each in median([both, alone, alone], 3).findings] == [None]


def test_remarks_that_come_and_go_are_not_called_flips() -> None:
    made = median([ran(found("LRN101", INFO)), ran(), ran()], 3)
    assert made.run.repeats is not None
    assert made.run.repeats.flips == ()


def test_drawings_are_those_of_the_run_that_is_most_like_it() -> None:
    runs = [ran(recording="1"), ran(found("LRN101"), recording="2"), ran(found("LRN101"), recording="3")]
    made = median(runs, 3)
    assert made.run.recording == "2"
    assert made.run.wall_seconds == 6.0


def test_a_run_that_broke_off_is_told_and_does_not_decide() -> None:
    made = median([ran(outcome=Outcome.PARTLY), ran(), ran()], 3)
    assert made.target.outcome is Outcome.EXAMINED
    assert "run 1 was partly-examined: why" in made.run.notes


def test_an_interrupted_series_says_so_and_calls_nothing_agreed() -> None:
    made = median([ran(found("LRN101"))], 3, interrupted=True)
    assert made.run.notes == ("interrupted: judged by 1 run of 3",)
    assert codes(made) == ["LRN101"]


def test_no_more_runs_than_could_change_it() -> None:
    sick, sound = ran(found("LRN101")), ran()
    assert not settled([sick], 3)
    assert settled([sick, sick], 3)
    assert not settled([sick, sound], 3)
    assert not settled([sick, sick], 4)
    assert settled([sick, ran(found("LRN101"), found("ACT101", INFO))], 3), "remarks fail nothing"


EVERY = [each for runs in range(1, 6) for each in combinations_with_replacement((None, INFO, WARNING, ERROR), runs)]


def graded(grades: tuple[Severity | None, ...]) -> list[Diagnosis]:
    return [ran(*([found("LRN101", each)] if each else [])) for each in grades]


def test_most_runs_decide_whatever_they_say() -> None:
    for grades in EVERY:
        made = median(graded(grades), len(grades))
        for limit in (ERROR, WARNING, INFO):
            votes = sum(each is not None and each.rank <= limit.rank for each in grades)
            fails = any(each.severity and each.severity.rank <= limit.rank for each in made.findings)
            assert fails == (2 * votes > len(grades)), (grades, limit)


def test_runs_that_are_left_out_could_have_changed_nothing() -> None:
    settled_early = 0
    for first in (None, WARNING, ERROR):
        for grades in EVERY:
            runs = graded((first, *grades))
            early = next((number for number in range(1, len(runs)) if settled(runs[:number], len(runs))), None)
            if early is not None:
                settled_early += 1
                assert faults(median(runs[:early], len(runs))) == faults(median(runs, len(runs))), grades
    assert settled_early > 20


def faults(diagnosis: Diagnosis) -> list[tuple[str, Severity | None]]:
    return [(each.rule, each.severity) for each in diagnosis.findings if each.severity is not INFO]


def test_the_page_says_what_flips_at_its_head() -> None:
    made = page.render(median([ran(), ran(found("LRN101")), ran(found("LRN101"))], 3))
    head = made[: made.index("</header>")]
    assert "LRN101 rate-too-high came in 2 of 3 runs and stands." in head
    assert "<dt>runs</dt>" not in page.render(ran())


def test_json_says_what_flips() -> None:
    made = json.loads(render(median([ran(), ran(found("LRN101")), ran(found("LRN101"))], 3)))
    flip = {"rule": "LRN101", "found": 2, "judged": 3, "stands": True, "grades": ["nothing", "error", "error"]}
    assert made["run"]["repeats"] == {"runs": 3, "planned": 3, "flips": [flip], "recordings": ["x.dnnrec"] * 3}
    assert json.loads(render(ran()))["run"]["repeats"] is None
