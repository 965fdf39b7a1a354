from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Overfitting, Remedies, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.regularization.overfitting_unregularised import overfitting_unregularised
from tests.rules.growths import MODEL, flat, growth, remedies


def judge(one: Overfitting, *more: Any, **thresholds: Any) -> Result:
    measured = {type(each): each for each in (one, *more)}
    return overfitting_unregularised.evaluate(measured, thresholds)


def severity(one: Overfitting, tried: Remedies | None = None) -> Severity | None:
    [found] = judge(one, *([tried] if tried else [])).findings
    return found.severity


def test_learned_by_heart_where_dropout_helps() -> None:
    [found] = judge(growth(), remedies()).findings
    assert found.severity is Severity.WARNING
    assert found.location == MODEL
    assert "falls to 1 by step 10 and rises to 1.6 by step 80" in found.message
    assert found.fix is not None
    assert "nn.Dropout(0.5)" in str(found.fix.code)
    assert "1.1 instead of 1.6 after the same 80 steps" in found.fix.explanation


def test_decay_where_that_helps_more() -> None:
    [found] = judge(growth(), remedies(dropout=1.5, decay=1.1)).findings
    assert found.fix is not None
    assert "weight_decay=5" in str(found.fix.code)


def test_without_a_proven_remedy_it_is_information() -> None:
    assert severity(growth()) is Severity.INFO
    assert severity(growth(), remedies(dropout=1.6, decay=1.58)) is Severity.INFO


def test_beyond_the_planned_run_or_without_a_plan_it_is_information() -> None:
    assert severity(growth(planned_epochs=None), remedies()) is Severity.INFO
    assert severity(growth(planned_epochs=19.0), remedies()) is Severity.INFO
    assert severity(growth(planned_epochs=19.1), remedies()) is Severity.WARNING


def test_a_confident_model_that_stays_right_is_information() -> None:
    right = np.asarray([[0.5, 0.3, 0.1, 0.05, 0.09]] * 3)
    assert severity(growth(held_out_error=right), remedies()) is Severity.INFO
    assert severity(growth(held_out_error=right + 0.02), remedies()) is Severity.WARNING
    assert severity(growth(held_out_error=None, training_error=None), remedies()) is Severity.WARNING


def test_a_small_gap_passes() -> None:
    assert judge(flat(), remedies()).state is State.PASS


@pytest.mark.parametrize(("end", "state"), [(1.24, State.PASS), (1.26, State.FINDING)])
def test_a_rise_at_the_threshold(end: float, state: State) -> None:
    held = np.asarray([[1.6, 1.0, 1.05, 1.1, end + each] for each in (-0.01, 0.0, 0.01)])
    assert judge(growth(held_out_loss=held), remedies()).state is state


def test_a_rise_inside_the_noise_passes() -> None:
    held = np.asarray([[1.6, 1.0, 1.1, 1.2, end] for end in (1.05, 1.3, 2.4)])
    assert judge(growth(held_out_loss=held), remedies()).state is State.PASS
    held = np.asarray([[1.6, 1.0, 1.1, 1.2, end] for end in (0.99, 1.9, 2.0)])
    assert judge(growth(held_out_loss=held), remedies()).state is State.PASS


def test_a_rise_at_the_last_mark_alone_passes() -> None:
    held = np.asarray([[1.6, 1.4, 1.2, 1.0, end] for end in (1.55, 1.6, 1.65)])
    assert judge(growth(held_out_loss=held), remedies()).state is State.PASS


@pytest.mark.parametrize("there", ["dropout", "weight decay", "normalization", "early stopping"])
def test_a_restraint_silences(there: str) -> None:
    assert judge(growth(restraints=(there,)), remedies()).state is State.NOT_APPLICABLE


def test_augmentation_silences() -> None:
    assert judge(growth(augmented=True), remedies()).state is State.NOT_APPLICABLE


def test_a_small_part_of_the_data_says_nothing_of_the_whole() -> None:
    assert judge(growth(length=301), remedies()).state is State.NOT_EXAMINED
    assert judge(growth(length=300), remedies()).state is State.FINDING
    assert judge(growth(length=None), remedies()).state is State.NOT_EXAMINED
    assert judge(growth(length=None, closed=True), remedies()).state is State.FINDING


@pytest.mark.parametrize("family", ["gan", "reinforcement", "diffusion", "variational", "contrastive"])
def test_losses_that_measure_nothing_on_other_samples(family: str) -> None:
    assert judge(growth(), remedies(), Run("cpu", None, 50, family=family)).state is State.NOT_APPLICABLE
