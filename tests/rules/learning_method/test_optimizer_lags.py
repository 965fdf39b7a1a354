from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dnndoctor.changes import Rewrite
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import LearningMethods, MethodRun, Optimizer, Optimizers, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.learning_method.optimizer_lags import optimizer_lags
from tests.rules.said import only

STEPS = 50


def run(name: str, final: float, rate: float = 0.1, own: bool = False, apart: float = 0.01) -> MethodRun:
    """Falls from 4 to ``final`` in a straight line over half of the steps; ``apart``: the second order ends higher."""
    ends = (final, final + apart)
    falls = [np.linspace(4.0, end, STEPS // 2) if np.isfinite(end) else np.full(STEPS // 2, 4.0) for end in ends]
    curves = tuple(np.concatenate([fall, np.full(STEPS // 2, end)]) for fall, end in zip(falls, ends, strict=True))
    return MethodRun(name, own, rate, curves, ends)


def judge(*methods: MethodRun, family: str = "supervised", steps: int = STEPS) -> Result:
    name = methods[0].name
    optimizers = Optimizers((Optimizer(name, Location("train.py", 20), (0.1,), 0.1, steps=50),))
    measured: dict[type, Any] = {
        LearningMethods: LearningMethods(name, steps, methods, True),
        Optimizers: optimizers,
        Run: Run("cpu", None, 50, family=family),
    }
    return optimizer_lags.evaluate(measured)


def sgd(user: float, best: float, **changes: Any) -> tuple[MethodRun, MethodRun]:
    return run("SGD", user, 0.1, True, **changes), run("SGD", best, 1.0, True, **changes)


def test_half_the_progress_at_either_rate_is_a_warning() -> None:
    [found] = judge(*sgd(3.8, 3.0), run("Adam", 1.0, 3e-3)).findings
    assert found.severity is Severity.WARNING
    assert found.location == Location("train.py", 20)
    assert "Adam at 0.003 reaches loss 1" in found.message
    assert found.fix is not None
    assert found.fix.code == "torch.optim.AdamW(model.parameters(), lr=0.003)"


def test_a_lag_with_more_progress_is_information() -> None:
    [found] = judge(*sgd(3.8, 2.4), run("Adam", 1.0)).findings
    assert found.severity is Severity.INFO


def test_over_few_steps_it_is_information() -> None:
    methods = (*sgd(3.8, 3.0), run("Adam", 1.0))
    assert judge(*methods, steps=40).findings[0].severity is Severity.WARNING
    assert judge(*methods, steps=39).findings[0].severity is Severity.INFO


def test_twice_as_fast_at_the_threshold() -> None:
    """The other falls by 3 in 25 of 50 steps: where yours ends decides when it passes there."""
    assert judge(*sgd(3.8, 1.4), run("Adam", 1.0)).state is State.FINDING
    assert judge(*sgd(3.8, 1.1), run("Adam", 1.0)).state is State.PASS


def test_a_method_with_a_rate_of_its_own_meaning_is_judged_as_it_is() -> None:
    def adadelta(final: float) -> tuple[MethodRun, ...]:
        return run("Adadelta", final, 1e-3, True), run("Adadelta", 1.0, 1.0, True), run("Adam", 1.0)

    [found] = judge(*adadelta(3.8)).findings
    assert found.severity is Severity.WARNING
    assert "Adadelta at your rate 0.001 reaches 3.8" in found.message
    assert judge(*adadelta(3.6)).state is State.PASS
    assert judge(run("SGD", 3.8, 1e-3, True), run("SGD", 1.0, 1.0, True), run("Adam", 1.0)).state is State.PASS


def test_a_gap_inside_the_noise_is_none() -> None:
    assert judge(*sgd(3.8, 3.0, apart=0.6), run("Adam", 1.0)).state is State.PASS


def test_as_good_as_the_others_at_its_best_rate_is_sound() -> None:
    assert judge(*sgd(3.9, 1.0), run("Adam", 1.0), run("Adadelta", np.inf)).state is State.PASS


def test_one_order_of_the_batches_is_too_few() -> None:
    one = MethodRun("SGD", True, 0.1, (np.ones(STEPS),), (1.0,))
    assert judge(one, run("Adam", 1.0)).state is State.NOT_EXAMINED
    assert judge(*sgd(3.8, 3.0)).state is State.NOT_EXAMINED


@pytest.mark.parametrize("family", ["gan", "reinforcement"])
def test_families_whose_loss_need_not_fall(family: str) -> None:
    assert judge(*sgd(3.8, 3.0), run("Adam", 1.0), family=family).state is State.NOT_APPLICABLE


def test_the_measured_method_takes_over_with_its_rate() -> None:
    result = judge(*sgd(3.8, 3.0), run("Adam", 1.0, 3e-3))
    change = only(result)
    assert isinstance(change, Rewrite)
    assert (change.template, change.of) == ("torch.optim.AdamW({0}, lr=0.003)", ("SGD",))
    assert {"lr", "momentum"} <= set(change.dropping)
    assert "weight_decay" not in change.dropping
    assert result.findings[0].fix is not None
    assert result.findings[0].fix.verified
