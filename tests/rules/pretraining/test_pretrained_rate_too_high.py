from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import LearningRateSweep, Movement, Optimizer, Optimizers, Origins, Run, Steps
from dnndoctor.rule import Result, State
from dnndoctor.rules.pretraining.pretrained_rate_too_high import pretrained_rate_too_high

BUILT = Location("train.py", 20)


def optimizers(rate: float = 0.1) -> Optimizers:
    return Optimizers((Optimizer("Adam", BUILT, (rate,), rate, warming_up=False),))


def moved(*shares: float) -> Origins:
    return Origins(movement=Movement(tuple(range(1, len(shares) + 1)), shares, 4, BUILT))


def sweep(best: float = 0.003, own: float = 1.2, noise: float = 0.01) -> LearningRateSweep:
    rates = np.asarray([0.001, 0.003, 0.01, 0.1])
    scores = np.where(rates == 0.1, own, 0.9)
    scores[rates == best] = 0.3
    return LearningRateSweep(
        "Adam", rates, scores, 2.3, noise, 0.1, own, best, 0.3, (0.001, 0.01), None, 50, paired=True, confidence="high"
    )


def steps(*loss: float) -> Steps:
    count = len(loss)
    return Steps(np.arange(count), np.asarray(loss), np.full(count, 0.1), np.zeros(count), np.zeros(count))


def judge(*measured: Any, **thresholds: Any) -> Result:
    given = {type(each): each for each in (optimizers(), *measured)}
    return pretrained_rate_too_high.evaluate(given, thresholds)


def test_weights_thrown_away_where_a_lower_rate_learns_more() -> None:
    [found] = judge(moved(0.05, 0.4, 2.0), sweep()).findings
    assert found.severity is Severity.WARNING
    assert found.location == BUILT
    assert "moved by 200% of their size, 10% within 2 steps; rate 0.001 brings the loss to 0.9, this one to 1.2" in (
        found.message
    )


def test_a_loss_that_rose_is_harm_enough() -> None:
    rising = steps(1.0, 1.2, 2.5, 3.0, 3.2, 3.1, 2.9, 3.3, 3.0)
    assert judge(moved(0.5), rising).state is State.FINDING
    assert judge(moved(0.5), rising, sweep(own=0.31)).state is State.FINDING


@pytest.mark.parametrize(("share", "state"), [(0.1, State.PASS), (0.11, State.FINDING)])
def test_movement_at_the_threshold(share: float, state: State) -> None:
    assert judge(moved(share), sweep()).state is state


def test_moving_far_without_harm_passes() -> None:
    assert judge(moved(0.9), sweep(own=0.4)).state is State.PASS
    assert judge(moved(0.9), sweep(best=0.1)).state is State.PASS


def test_a_gain_inside_the_noise_passes() -> None:
    assert judge(moved(0.9), sweep(noise=0.31)).state is State.PASS


def test_a_far_movement_with_no_rate_to_compare_is_not_judged() -> None:
    assert judge(moved(0.9), steps(*[1.0] * 9)).state is State.NOT_EXAMINED


def test_nothing_loaded_is_nothing_to_lose() -> None:
    assert judge(Origins(), sweep()).state is State.NOT_APPLICABLE


def test_adversaries_are_not_judged() -> None:
    assert judge(moved(0.9), sweep(), Run("cpu", None, 50, family="gan")).state is State.NOT_APPLICABLE
