from __future__ import annotations

from dataclasses import replace
from typing import Any

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Mode, Modes
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_loop.evaluation_tracks_gradients import evaluation_tracks_gradients

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
