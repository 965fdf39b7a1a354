from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import LearningRateSweep, Optimizers, Run, Steps
from dnndoctor.rule import Result, State
from dnndoctor.rules.learning_rate.rate_too_low import rate_too_low

Sweep = Callable[..., LearningRateSweep]
Opts = Callable[..., Optimizers]


def judge(*measured: Any, **thresholds: Any) -> Result:
    return rate_too_low.evaluate({type(each): each for each in measured}, thresholds)


def test_a_rate_that_wastes_its_steps_is_found(sweep: Sweep, optimizers: Opts) -> None:
    [found] = judge(sweep(1e-5, 2.299), optimizers()).findings
    assert found.severity is Severity.WARNING
    assert found.location == Location("train.py", 20, 48)
    assert "loss 0.6 instead of 2.3 after the same 20 steps" in found.message
    assert found.fix is not None
    assert found.fix.summary == "raise the learning rate to 0.03"
    assert found.fix.code == "lr=0.03"


def test_a_loss_that_rose_a_little_by_noise_is_no_progress(sweep: Sweep, optimizers: Opts) -> None:
    assert judge(sweep(1e-6, 2.301), optimizers()).state is State.FINDING


def test_a_cautious_rate_that_learns_is_sound(sweep: Sweep, optimizers: Opts) -> None:
    # Adam at 1e-3 on digits: a thirtieth of the best rate of 20 steps, an eleventh of its progress, the best result.
    assert judge(sweep(0.0033, 2.12), optimizers("Adam")).state is State.PASS


def test_gain_at_the_threshold(sweep: Sweep, optimizers: Opts) -> None:
    assert judge(sweep(1e-3, 2.3 - 2.0 / 49), optimizers()).state is State.PASS
    assert judge(sweep(1e-3, 2.3 - 2.0 / 51), optimizers()).state is State.FINDING


def test_distance_at_the_threshold(sweep: Sweep, optimizers: Opts) -> None:
    assert judge(sweep(0.0099, 2.3), optimizers()).state is State.FINDING
    assert judge(sweep(0.0101, 2.3), optimizers()).state is State.PASS


def test_a_gain_within_the_noise_says_nothing(sweep: Sweep, optimizers: Opts) -> None:
    assert judge(sweep(1e-5, 2.299, noise=0.7), optimizers()).state is State.PASS


def test_a_gain_of_less_than_a_twentieth_says_nothing(sweep: Sweep, optimizers: Opts) -> None:
    assert judge(sweep(1e-5, 2.3, best_score=2.2), optimizers()).state is State.PASS


def test_an_unsure_sweep_gives_information_only_unless_the_rate_is_plainly_off(sweep: Sweep, optimizers: Opts) -> None:
    [near] = judge(sweep(0.0011, 2.299, confidence="low"), optimizers()).findings
    [far] = judge(sweep(0.0009, 2.299, confidence="low"), optimizers()).findings
    assert (near.severity, far.severity) == (Severity.INFO, Severity.WARNING)


def test_pretrained_weights_may_move_slowly(sweep: Sweep, optimizers: Opts) -> None:
    run = Run("cpu", None, 50, pretrained=True)
    assert judge(sweep(1e-5, 2.299), optimizers(), run).state is State.NOT_APPLICABLE


def test_warm_up_is_not_judged(sweep: Sweep, optimizers: Opts) -> None:
    assert judge(sweep(1e-5, 2.299), optimizers(warming_up=True)).state is State.NOT_APPLICABLE


@pytest.mark.parametrize("name", ["Adadelta", "LBFGS", "Prodigy", "Rprop", "Adafactor"])
def test_rates_that_mean_something_else(sweep: Sweep, optimizers: Opts, name: str) -> None:
    assert judge(sweep(1e-5, 2.299, optimizer=name), optimizers(name)).state is State.NOT_APPLICABLE


def test_steps_with_a_closure_are_not_judged(sweep: Sweep, optimizers: Opts) -> None:
    assert judge(sweep(1e-5, 2.299), optimizers(closure=True)).state is State.NOT_APPLICABLE


@pytest.mark.parametrize("family", ["gan", "reinforcement"])
def test_families_whose_loss_need_not_fall(sweep: Sweep, optimizers: Opts, family: str) -> None:
    assert judge(sweep(1e-5, 2.299), optimizers(), Run("cpu", None, 50, family=family)).state is State.NOT_APPLICABLE


def test_a_loss_that_falls_by_itself_is_not_too_slow(sweep: Sweep, optimizers: Opts) -> None:
    assert judge(sweep(1e-5, 2.299), optimizers(), _steps(np.full(50, 2.3))).state is State.FINDING
    assert judge(sweep(1e-5, 2.299), optimizers(), _steps(np.linspace(2.3, 1.6, 50))).state is State.PASS


def _steps(loss: NDArray[np.float64]) -> Steps:
    zeros = np.zeros(len(loss))
    return Steps(np.arange(len(loss)), loss, zeros, zeros, zeros)


def test_a_loss_without_a_floor_names_no_best_rate(sweep: Sweep, optimizers: Opts) -> None:
    """A sum of outputs: the higher the rate, the lower it gets."""
    falling = sweep(1e-5, 2.299, best_score=-5000.0)
    assert judge(falling, optimizers()).state is State.NOT_APPLICABLE
    assert judge(sweep(1e-5, 2.299, best_score=-5.0), optimizers()).state is State.FINDING
