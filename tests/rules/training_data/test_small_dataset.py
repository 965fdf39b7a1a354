from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Overfitting, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_data.small_dataset import small_dataset
from tests.rules.growths import MODEL, flat, growth


def judge(one: Overfitting, *more: Any, **thresholds: Any) -> Result:
    return small_dataset.evaluate({type(each): each for each in (one, *more)}, thresholds)


def test_few_samples_for_many_parameters() -> None:
    [found] = judge(growth()).findings
    assert found.severity is Severity.INFO
    assert found.location == MODEL
    assert "200 samples are few for 100,000 parameters" in found.message


def test_dropout_does_not_make_a_small_set_large() -> None:
    assert judge(growth(restraints=("dropout",))).state is State.FINDING


def test_parameters_at_the_threshold() -> None:
    assert judge(growth(parameters=2000)).state is State.NOT_APPLICABLE
    assert judge(growth(parameters=2001)).state is State.FINDING


@pytest.mark.parametrize(("behind", "state"), [(0.19, State.PASS), (0.21, State.FINDING)])
def test_a_gap_at_the_threshold(behind: float, state: State) -> None:
    held = np.asarray([[1.6, 1.2, 1.1, 1.05, 1.0]] * 3)
    training = held.copy()
    training[:, -1] -= behind + np.asarray([-0.01, 0.0, 0.01])
    assert judge(growth(held_out_loss=held, training_loss=training)).state is state


def test_no_gap_passes() -> None:
    assert judge(flat()).state is State.PASS


def test_weights_that_were_learned_elsewhere() -> None:
    assert judge(growth(restraints=("weights that were learned elsewhere",))).state is State.NOT_APPLICABLE


def test_a_small_part_of_the_data_says_nothing_of_the_whole() -> None:
    assert judge(growth(length=2000)).state is State.NOT_EXAMINED


def test_adversaries_are_not_judged() -> None:
    assert judge(growth(), Run("cpu", None, 50, family="gan")).state is State.NOT_APPLICABLE
