from __future__ import annotations

from dataclasses import replace

from dnndoctor.findings import Severity
from dnndoctor.rule import State
from dnndoctor.rules.visualisation.nothing_logged import nothing_logged as rule
from tests.literals import HERE, NO_HABITS, a_plan, judged


def test_a_silent_script_is_told() -> None:
    [found] = judged(rule, NO_HABITS, a_plan(location=HERE)).findings
    assert (found.severity, found.location) == (Severity.INFO, HERE)
    assert "none of the 30 lines" in found.message


def test_one_that_prints_is_sound() -> None:
    assert judged(rule, replace(NO_HABITS, logs=HERE), a_plan()).state is State.PASS


def test_a_library_logs_by_itself() -> None:
    assert judged(rule, NO_HABITS, a_plan(framework="lightning")).state is State.NOT_EXAMINED
    assert judged(rule, replace(NO_HABITS, lines=0), a_plan()).state is State.NOT_EXAMINED
