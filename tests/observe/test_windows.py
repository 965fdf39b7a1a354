"""A window that breaks is told no more; the others look on, and its measurements say why they are missing."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dnndoctor.observe.watch import Watch
from dnndoctor.observe.window import Window, Windows
from dnndoctor.recording.reader import BrokenWindow, Rows


class Counting(Window):
    name = "counting"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self.steps = 0

    def after_step(self, optimizer: Any) -> None:
        self.steps += 1

    def facts(self) -> dict[str, Any]:
        return {"steps": self.steps}


class Breaking(Counting):
    name = "breaking"

    def after_step(self, optimizer: Any) -> None:
        super().after_step(optimizer)
        if self.steps == 2:
            raise KeyError("not there")


class BreakingLate(Counting):
    name = "breaking-late"

    def facts(self) -> dict[str, Any]:
        raise ZeroDivisionError


def told(*kinds: Callable[[Watch], Window], steps: int = 3) -> Windows:
    watch = cast("Watch", SimpleNamespace())
    windows = Windows(kind(watch) for kind in kinds)
    for _ in range(steps):
        windows.tell("after_step", None)
    return windows


@pytest.mark.parametrize("kinds", [(Breaking, Counting), (Counting, Breaking)])
def test_one_that_breaks_takes_no_other_with_it(kinds: tuple[type[Window], ...]) -> None:
    windows = told(*kinds)
    assert windows.rows() == [{"name": "counting", "facts": {"steps": 3}}]
    assert windows.broken["breaking"].startswith("KeyError: 'not there' (test_windows.py:")


def test_one_whose_facts_break() -> None:
    windows = told(BreakingLate, Counting)
    assert [row["name"] for row in windows.rows()] == ["counting"]
    assert "ZeroDivisionError" in windows.broken["breaking-late"]


def test_what_a_broken_window_would_have_told_is_missing_and_not_empty() -> None:
    rows = Rows({"window": []}, {"broken": {"plan": "KeyError: 'x' (plan.py:3)"}})
    with pytest.raises(BrokenWindow, match="a bug of dnndoctor broke its window"):
        rows.facts("window", "name", "plan")
    assert rows.facts("window", "name", "habits") is None
