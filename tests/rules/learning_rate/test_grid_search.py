from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import LearningRateSweep
from dnndoctor.rule import State
from dnndoctor.rules.learning_rate.grid_search import grid_search as rule
from tests.literals import HERE, NO_HABITS, a_plan, judged

PLACE = Location("search.py", 3)


def test_two_settings_are_a_grid(sweep: Callable[..., LearningRateSweep]) -> None:
    plan = a_plan(searched=("lr", "hidden"), searched_at=PLACE)
    [found] = judged(rule, plan, NO_HABITS, sweep(0.1, 0.3)).findings
    assert (found.severity, found.location) == (Severity.INFO, PLACE)
    assert "a grid over lr, hidden" in found.message
    assert found.fix is not None
    assert "uniform(-1.3, -0.7)" in str(found.fix.code)


def test_one_setting_is_none() -> None:
    assert judged(rule, a_plan(searched=("lr",), searched_at=PLACE), NO_HABITS).state is State.PASS
    assert judged(rule, a_plan(), NO_HABITS).state is State.PASS


def test_a_grid_of_a_library() -> None:
    [found] = judged(rule, replace(NO_HABITS, searches=HERE)).findings
    assert found.location == HERE
