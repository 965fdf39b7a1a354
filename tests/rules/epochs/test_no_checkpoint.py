from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dnndoctor.findings import Severity
from dnndoctor.rule import State
from dnndoctor.rules.epochs.no_checkpoint import no_checkpoint as rule
from tests.literals import HERE, NO_HABITS, a_plan, judged


@pytest.mark.parametrize(("seconds", "severity"), [(600.0, Severity.INFO), (7200.0, Severity.WARNING)])
def test_a_long_run_that_saves_nothing(seconds: float, severity: Severity) -> None:
    [found] = judged(rule, a_plan(location=HERE, seconds=seconds), NO_HABITS).findings
    assert (found.severity, found.location) == (severity, HERE)
    assert f"some {seconds / 3600:.1f} hours" in found.message


def test_one_that_saves_is_sound() -> None:
    assert judged(rule, a_plan(seconds=7200.0), replace(NO_HABITS, saves=HERE)).state is State.PASS


@pytest.mark.parametrize(
    ("plan", "state"),
    [
        (a_plan(seconds=599.0), State.NOT_APPLICABLE),
        (a_plan(5, seconds=7200.0), State.NOT_APPLICABLE),
        (a_plan(), State.NOT_EXAMINED),
        (a_plan(seconds=7200.0, framework="lightning"), State.NOT_EXAMINED),
    ],
)
def test_which_runs_are_judged(plan: Any, state: State) -> None:
    assert judged(rule, plan, NO_HABITS).state is state
