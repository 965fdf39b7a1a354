from __future__ import annotations

from dataclasses import replace
from typing import Any

from dnndoctor.changes import Enclose, Loop
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Clearing, Clearings, Mode, Modes
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_loop.evaluation_tracks_gradients import evaluation_tracks_gradients
from tests.rules.said import changes, only

LINE = Location("train.py", 40)
EVALUATION = Mode("net", "evaluation", 12, False, LINE, gradients=True)


def judge(*passes: Mode, **thresholds: Any) -> Result:
    return evaluation_tracks_gradients.evaluate({Modes: Modes(passes, True)}, thresholds)


def test_an_evaluation_with_gradients_is_noted() -> None:
    [found] = judge(EVALUATION).findings
    assert (found.severity, found.location) == (Severity.INFO, LINE)
    assert "12 evaluation passes of net" in found.message


def test_without_gradients_it_passes() -> None:
    assert judge(replace(EVALUATION, gradients=False)).state is State.PASS


def test_at_the_threshold() -> None:
    assert judge(replace(EVALUATION, passes=1)).state is State.PASS
    assert judge(replace(EVALUATION, passes=2)).state is State.FINDING


def test_passes_over_training_data_are_none_of_these() -> None:
    assert judge(replace(EVALUATION, training_data=True)).state is State.PASS


def test_models_that_are_not_trained_do_not_count() -> None:
    assert judge(replace(EVALUATION, trainable=False)).state is State.NOT_APPLICABLE


def test_no_evaluation_was_seen() -> None:
    assert judge(replace(EVALUATION, purpose="training")).state is State.NOT_EXAMINED


def test_the_loop_around_is_enclosed_up_to_where_training_begins() -> None:
    backward, call, step = (Location("train.py", line, 5) for line in (30, 60, 31))
    one = Clearing("SGD", 50, 0, 0, 1, step_location=step, backward_location=backward, callers=(backward, call))
    change = only(
        evaluation_tracks_gradients.evaluate({Modes: Modes((EVALUATION,), True), Clearings: Clearings((one,))})
    )
    assert isinstance(change, Enclose)
    assert (change.at, change.header) == (LINE, "with torch.no_grad():")
    assert change.loop == Loop(without=(backward, call, step))
    assert changes(judge(EVALUATION)) == ()
