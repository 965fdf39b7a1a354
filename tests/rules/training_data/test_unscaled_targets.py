from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import DataTensor, Loss, Losses, Run, Steps, TrainingData
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_data.unscaled_targets import unscaled_targets
from tests.rules.scans import judge

NONE = np.zeros(0)


def tensor(role: str, name: str, mean: float, std: float, width: int = 1) -> DataTensor:
    none = NONE.astype(np.int64)
    place = Location("train.py", 12)
    return DataTensor(role, name, place, "float", (32, width), 640, mean, std, mean - std, mean + std, NONE, NONE, none)


def of(mean: float, std: float, end: float, function: str = "mse_loss", steps: int = 50, **changes: Any) -> Result:
    data = TrainingData((tensor("input", "x", 0.0, 1.0, width=8), tensor("target", f"target of {function}", mean, std)))
    losses = Losses((Loss(function, Location("train.py", 30), end, **changes),))
    values = np.full(steps, end)
    course = Steps(np.arange(steps), values, values * 0, values * 0, values * 0, None)
    return judge(unscaled_targets, data, losses, course)


def test_raw_targets_of_which_not_even_the_mean_is_learned() -> None:
    [found] = of(152, 77, end=28000.0).findings
    assert (found.severity, found.location) == (Severity.WARNING, Location("train.py", 12))
    assert "mean 152" in found.message


def test_tiny_targets_that_first_outputs_drown() -> None:
    assert of(0.0, 0.002, end=0.01).state is State.FINDING


def test_a_mean_far_from_zero() -> None:
    assert of(1990.0, 5.0, end=3e6).state is State.FINDING
    assert of(3.5, 1.1, end=9.0).state is State.PASS


def test_raw_targets_that_are_learned_all_the_same() -> None:
    assert of(152, 77, end=3000.0).state is State.PASS
    assert of(0, 20, end=0.89 * 400).state is State.PASS
    assert of(0, 20, end=0.91 * 400).state is State.FINDING


def test_standardised_targets_pass_whatever_the_loss() -> None:
    assert of(0.0, 1.0, end=4.0).state is State.PASS


@pytest.mark.parametrize("function", ["l1_loss", "smooth_l1_loss", "huber_loss"])
def test_other_distances(function: str) -> None:
    assert of(152, 77, end=150.0, function=function).state is State.FINDING
    assert of(152, 77, end=20.0, function=function).state is State.PASS


def test_where_it_does_not_apply() -> None:
    assert of(152, 77, end=2.0, function="cross_entropy").state is State.NOT_APPLICABLE
    assert of(152, 0.0, end=2.0).state is State.NOT_APPLICABLE


def test_other_losses_and_few_steps_are_not_examined() -> None:
    assert of(152, 77, end=28000.0, reduction="sum").state is State.NOT_EXAMINED
    assert of(152, 77, end=28000.0, terms=2).state is State.NOT_EXAMINED
    assert of(152, 77, end=28000.0, steps=19).state is State.NOT_EXAMINED


def test_an_autoencoder_is_told_of_its_inputs_only() -> None:
    data = TrainingData((tensor("input", "x", 33.0, 78.0), tensor("target", "target of mse_loss", 33.0, 78.0)))
    values = np.full(50, 9000.0)
    course = Steps(np.arange(50), values, values * 0, values * 0, values * 0, None)
    assert judge(unscaled_targets, data, Losses((Loss("mse_loss", None, 9000.0),)), course).state is (
        State.NOT_APPLICABLE
    )


def test_values_of_rewards_have_their_own_scale() -> None:
    run = Run(device="cpu", accelerator=None, steps=50, family="reinforcement")
    data = TrainingData((tensor("target", "target of mse_loss", 152, 77),))
    values = np.full(50, 28000.0)
    course = Steps(np.arange(50), values, values * 0, values * 0, values * 0, None)
    result = judge(unscaled_targets, data, Losses((Loss("mse_loss", None, 1.0),)), course, run)
    assert result.state is State.NOT_APPLICABLE
