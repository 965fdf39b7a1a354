from __future__ import annotations

from typing import Any

from dnndoctor.changes import MoveStatement, Safety
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Clearing, Clearings
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_loop.gradients_cleared_before_step import gradients_cleared_before_step
from tests.rules.said import changes

STEP, ZERO = Location("train.py", 25), Location("train.py", 24)


def judge(*measured: Any, **thresholds: Any) -> Result:
    return gradients_cleared_before_step.evaluate({type(each): each for each in measured}, thresholds)


def clearing(intervals: int, empty: int, **changes: Any) -> Clearing:
    places: dict[str, Any] = {"step_location": STEP, "zero_location": ZERO}
    return Clearing("Adam", intervals, 0, empty, 1, **(places | changes))


def test_clearing_before_the_step_is_found_at_its_line() -> None:
    [found] = judge(Clearings((clearing(40, 40),))).findings
    assert found.severity is Severity.ERROR
    assert found.location == ZERO
    assert "at 40 of 40 steps of Adam" in found.message
    assert found.fix is not None
    assert str(found.fix.code).startswith("optimizer.zero_grad()\nloss.backward()")


def test_without_the_call_s_place_the_step_is_named() -> None:
    assert judge(Clearings((clearing(40, 40, zero_location=None),))).findings[0].location == STEP


def test_steps_with_gradients_pass() -> None:
    assert judge(Clearings((clearing(40, 0),))).state is State.PASS


def test_skipped_steps_now_and_then_pass_at_the_threshold() -> None:
    assert judge(Clearings((clearing(40, 35),))).state is State.PASS
    assert judge(Clearings((clearing(40, 36),))).state is State.FINDING


def test_intervals_at_the_threshold() -> None:
    assert judge(Clearings((clearing(2, 2),))).state is State.NOT_EXAMINED
    assert judge(Clearings((clearing(3, 3),))).state is State.FINDING
    assert judge(Clearings((clearing(3, 2),))).state is State.PASS


def test_the_call_goes_before_the_backward_pass() -> None:
    backward = Location("train.py", 22, 5)
    one = clearing(40, 40, backward_location=backward)
    assert changes(judge(Clearings((one,)))) == (MoveStatement(backward, at=ZERO, safety=Safety.SAFE),)
    assert changes(judge(Clearings((one, clearing(40, 0))))) == ()  # the call may be the other's
