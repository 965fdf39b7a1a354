from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import LearningRateSweep, Loss, Losses, Steps
from dnndoctor.rule import State
from dnndoctor.rules.learning_method.odd_hyper_parameters import odd_hyper_parameters as rule
from tests.literals import a_parameter, a_plan, an_optimizer, judged, updates, weights_of
from tests.rules.learning_rate.conftest import make_sweep
from tests.rules.said import only

MODEL = weights_of(a_parameter())


@pytest.fixture
def sweep() -> Callable[..., LearningRateSweep]:
    return make_sweep


def course(last: float) -> Steps:
    none = np.zeros(50)
    return Steps(np.arange(50), np.linspace(2.0, last, 50), none, none, none)


def with_settings(name: str = "SGD", **settings: float) -> Any:
    return an_optimizer(name, settings=settings)


def test_swapped_betas_are_certain() -> None:
    [found] = judged(rule, with_settings("Adam", beta1=0.999, beta2=0.9), MODEL).findings
    assert (found.severity, found.location) == (Severity.WARNING, Location("train.py", 20))
    assert found.fix is not None
    assert found.fix.code == "betas=(0.9, 0.999)"


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.9), (0.0, 0.9), (0.9, 0.9)])
def test_usual_betas_are_sound(betas: tuple[float, float]) -> None:
    assert judged(rule, with_settings("Adam", beta1=betas[0], beta2=betas[1]), MODEL).state is State.PASS


@pytest.mark.parametrize(
    ("momentum", "last", "state"),
    [(0.995, 2.5, State.FINDING), (0.994, 2.5, State.PASS), (0.999, 1.0, State.PASS), (0.9, 2.5, State.PASS)],
)
def test_heavy_momentum_needs_a_loss_that_does_not_fall(momentum: float, last: float, state: State) -> None:
    assert judged(rule, with_settings(momentum=momentum), MODEL, course(last)).state is state


def test_or_trials_that_do_better(sweep: Callable[..., LearningRateSweep]) -> None:
    heavy = with_settings(momentum=0.999)
    assert judged(rule, heavy, MODEL, course(1.0), sweep(0.001, 2.2)).state is State.FINDING
    assert judged(rule, heavy, MODEL, course(1.0), sweep(0.1, 0.3)).state is State.PASS


@pytest.mark.parametrize(
    ("momentum", "epochs", "rate", "state"),
    [
        (0.999, 20, 0.05, State.FINDING),
        (0.999, 30, 0.05, State.PASS),
        (0.999, 20, 0.0005, State.PASS),
        (0.99, 2, 0.05, State.PASS),
    ],
)
def test_or_a_run_shorter_than_its_memory(momentum: float, epochs: int, rate: float, state: State) -> None:
    heavy = an_optimizer("SGD", rate, settings={"momentum": momentum})
    assert judged(rule, heavy, MODEL, course(1.0), a_plan(epochs)).state is state


def test_a_large_epsilon_needs_small_gradients_and_a_better_rate(sweep: Callable[..., LearningRateSweep]) -> None:
    small = updates(fc__weight=1e-3)  # gradients of 0.01
    lags = sweep(0.001, 2.2)
    [found] = judged(rule, with_settings("SGD", eps=0.1), MODEL, small, lags).findings
    assert "eps 0.1 is larger than the gradients of 100% of the weights" in found.message
    assert judged(rule, with_settings("SGD", eps=0.005), MODEL, small, lags).state is State.PASS
    assert judged(rule, with_settings("SGD", eps=0.1), MODEL, small, sweep(0.1, 0.3)).state is State.PASS
    assert judged(rule, with_settings("SGD", eps=0.1), MODEL, small).state is State.PASS


def test_a_loss_that_is_maximized() -> None:
    entropy, other = Losses((Loss("cross_entropy", None, 2.0),)), Losses((Loss("expression", None, 2.0),))
    up = with_settings(maximize=1.0)
    assert judged(rule, up, MODEL, course(5.0), entropy).state is State.FINDING
    assert judged(rule, up, MODEL, course(1.0), entropy).state is State.PASS
    assert judged(rule, up, MODEL, course(5.0), other).state is State.PASS


def test_without_settings() -> None:
    assert judged(rule, an_optimizer(), MODEL).state is State.NOT_EXAMINED


def test_the_usual_value_is_set() -> None:
    change = only(judged(rule, with_settings("Adam", beta1=0.999, beta2=0.9), MODEL))
    assert change == SetArgument("betas", "(0.9, 0.999)", at=Location("train.py", 20), of=("Adam",))
