from __future__ import annotations

from typing import Any

import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Overfitting, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.capacity.oversized_without_regularisation import oversized_without_regularisation
from tests.rules.growths import MODEL, flat, growth, widths


def judge(one: Overfitting, *more: Any, **thresholds: Any) -> Result:
    return oversized_without_regularisation.evaluate({type(each): each for each in (one, *more)}, thresholds)


def test_far_more_parameters_than_samples_where_half_do_better() -> None:
    [found] = judge(growth(), widths()).findings
    assert found.severity is Severity.WARNING
    assert found.location == MODEL
    assert "100,000 parameters for 200 samples" in found.message
    assert found.fix is not None
    assert "With 26,000 parameters the held-out loss is 1.2 instead of 1.6" in found.fix.explanation


@pytest.mark.parametrize("half", [1.55, 1.9])
def test_where_half_the_width_is_no_better_it_is_information(half: float) -> None:
    assert judge(growth(), widths(half)).findings[0].severity is Severity.INFO
    assert judge(growth()).findings[0].severity is Severity.INFO


def test_without_a_plan_it_is_information() -> None:
    assert judge(growth(planned_epochs=None), widths()).findings[0].severity is Severity.INFO


def test_parameters_at_the_threshold() -> None:
    assert judge(growth(parameters=2000), widths()).state is State.NOT_APPLICABLE
    assert judge(growth(parameters=2001), widths()).state is State.FINDING


def test_a_large_model_that_does_not_over_fit_passes() -> None:
    assert judge(flat(), widths()).state is State.PASS


def test_restraints_and_augmentation_silence() -> None:
    assert judge(growth(restraints=("dropout",)), widths()).state is State.NOT_APPLICABLE
    assert judge(growth(augmented=True), widths()).state is State.NOT_APPLICABLE
    learned = growth(restraints=("weights that were learned elsewhere",))
    assert judge(learned, widths()).state is State.NOT_APPLICABLE


def test_a_small_part_of_the_data_says_nothing_of_the_whole() -> None:
    assert judge(growth(length=2000), widths()).state is State.NOT_EXAMINED


def test_adversaries_are_not_judged() -> None:
    assert judge(growth(), widths(), Run("cpu", None, 50, family="gan")).state is State.NOT_APPLICABLE
