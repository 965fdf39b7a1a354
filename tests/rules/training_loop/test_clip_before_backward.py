from __future__ import annotations

from typing import Any

from dnndoctor.changes import MoveStatement
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Clearing, Clearings, ClipOrder
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_loop.clip_before_backward import clip_before_backward
from tests.rules.said import changes, only

LINE = Location("train.py", 20)


def judge(steps: int, in_vain: int, **thresholds: Any) -> Result:
    return clip_before_backward.evaluate({ClipOrder: ClipOrder(steps, in_vain, LINE)}, thresholds)


def test_clipping_of_nothing_is_found_at_its_line() -> None:
    [found] = judge(50, 50).findings
    assert (found.severity, found.location) == (Severity.ERROR, LINE)
    assert "in 50 of 50 steps" in found.message


def test_clipping_of_gradients_passes() -> None:
    assert judge(50, 0).state is State.PASS


def test_at_the_thresholds() -> None:
    assert judge(50, 44).state is State.PASS
    assert judge(50, 45).state is State.FINDING
    assert judge(2, 2).state is State.PASS
    assert judge(3, 3).state is State.FINDING


def test_without_clipping_there_is_nothing_to_judge() -> None:
    assert judge(0, 0).state is State.NOT_APPLICABLE


def test_the_call_goes_behind_the_backward_pass() -> None:
    backward = Location("train.py", 22, 5)
    clearings = Clearings((Clearing("SGD", 10, 0, 0, 1, backward_location=backward),))
    change = only(clip_before_backward.evaluate({ClipOrder: ClipOrder(50, 50, LINE), Clearings: clearings}))
    assert isinstance(change, MoveStatement)
    assert (change.to, change.after) == (backward, True)
    assert changes(judge(50, 50)) == ()
