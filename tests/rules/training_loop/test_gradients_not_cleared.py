from __future__ import annotations

from typing import Any

import pytest

from dnndoctor.changes import InsertAfter, InsertBefore, Safety
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Clearing, Clearings, Optimizer, Optimizers
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_loop.gradients_not_cleared import gradients_not_cleared
from tests.rules.said import changes, only, options

STEP, BACKWARD = Location("train.py", 25), Location("train.py", 24)


def judge(*measured: Any, **thresholds: Any) -> Result:
    return gradients_not_cleared.evaluate({type(each): each for each in measured}, thresholds)


def clearing(intervals: int, uncleared: int, backwards: int = 1, **changes: Any) -> Clearing:
    places: dict[str, Any] = {"step_location": STEP, "backward_location": BACKWARD}
    return Clearing("Adam", intervals, uncleared, 0, backwards, **(places | changes))


def test_gradients_that_are_never_cleared_are_found() -> None:
    [found] = judge(Clearings((clearing(40, 40),))).findings
    assert found.severity is Severity.ERROR
    assert found.location == BACKWARD
    assert "cleared in 40 of 40 steps" in found.message
    assert found.fix is not None
    assert "zero_grad()" in str(found.fix.code)


def test_without_the_backward_s_place_the_step_is_named() -> None:
    assert judge(Clearings((clearing(40, 40, backward_location=None),))).findings[0].location == STEP


@pytest.mark.parametrize(("uncleared", "backwards"), [(0, 1), (0, 4), (20, 1), (27, 1)])
def test_cleared_gradients_pass(uncleared: int, backwards: int) -> None:
    assert judge(Clearings((clearing(40, uncleared, backwards),))).state is State.PASS


def test_cleared_once_per_epoch_or_every_fourth_step() -> None:
    [found] = judge(Clearings((clearing(49, 46),))).findings
    assert "cleared in 46 of 49 steps" in found.message
    assert found.fix is not None
    assert "the sum over about 16 steps" in found.fix.explanation
    assert judge(Clearings((clearing(40, 30),))).state is State.FINDING
    assert judge(Clearings((clearing(40, 28),))).state is State.FINDING


def test_few_intervals_are_judged_only_where_none_was_cleared() -> None:
    assert judge(Clearings((clearing(11, 10),))).state is State.PASS
    assert judge(Clearings((clearing(12, 11),))).state is State.FINDING


def test_each_optimizer_is_judged() -> None:
    assert len(judge(Clearings((clearing(40, 0), clearing(40, 40)))).findings) == 1


def test_intervals_at_the_threshold() -> None:
    assert judge(Clearings((clearing(2, 2),))).state is State.NOT_EXAMINED
    assert judge(Clearings((clearing(3, 3),))).state is State.FINDING
    assert judge(Clearings((clearing(2, 2), clearing(3, 0)))).state is State.PASS


def test_the_optimizer_s_own_name_is_used() -> None:
    before = InsertBefore("opt.zero_grad()", at=BACKWARD, safety=Safety.SAFE)
    after = InsertAfter("opt.zero_grad()", at=STEP, safety=Safety.SAFE)
    assert options(only(judge(Clearings((clearing(40, 40, variable="opt"),))))) == ((before,), (after,))
    assert only(judge(Clearings((clearing(40, 40, 3, variable="opt"),)))) == after
    assert changes(judge(Clearings((clearing(40, 40),)))) == ()


def test_within_a_closure_there_is_one_place() -> None:
    lbfgs = Optimizers((Optimizer("LBFGS", None, (1.0,), 1.0, closure=True),))
    change = only(judge(Clearings((clearing(40, 40, 20, variable="opt"),)), lbfgs))
    assert isinstance(change, InsertBefore)
