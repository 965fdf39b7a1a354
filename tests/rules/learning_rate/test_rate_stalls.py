from __future__ import annotations

import numpy as np
import pytest

from dnndoctor.rule import Result, State
from dnndoctor.rules.learning_rate.rate_stalls import rate_stalls as rule
from tests.literals import judged
from tests.runs import a_course, a_curve, falling

T = np.arange(400) / 400
COSINE = 0.5 * (1 + np.cos(np.pi * T))


def of(rate: np.ndarray) -> Result:
    return judged(rule, a_course(a_curve("loss", falling()), a_curve("learning rate", rate)))


def test_a_rate_that_vanishes_with_most_of_the_run_to_come() -> None:
    [found] = of(0.5 * (1 + np.cos(np.pi * np.minimum(np.arange(400), 120) / 120))).findings
    assert found.message.startswith("the learning rate falls to next to nothing at step 120")


def test_a_schedule_that_is_not_stepped_any_more() -> None:
    [found] = of(np.where(np.arange(400) > 150, COSINE[150], COSINE)).findings
    assert found.message.startswith("the learning rate stands still at step 150")
    assert found.location is not None
    assert found.location.line == 152


@pytest.mark.parametrize(
    "rate",
    [
        COSINE,
        np.maximum(COSINE, 0.1),  # to a floor
        0.1 ** (np.arange(400) // 100),  # steps
        np.minimum(np.arange(400) / 40, 1.0),  # warm-up to a constant
        np.where(T < 0.8, 1.0, 1 - (T - 0.8) * 5),  # stable, then a decay
        0.1 + 0.45 * (1 + np.cos(np.pi * np.minimum(T / 0.6, 1))),  # a cosine that arrives early, at a tenth
        np.where(np.abs(np.arange(400) - 200) < 3, 300.0, 1.0),  # a spike is no peak
    ],
)
def test_schedules_that_are_sound(rate: np.ndarray) -> None:
    assert of(rate).state is State.PASS


def test_where_it_says_nothing() -> None:
    assert of(np.ones(400)).state is State.NOT_APPLICABLE
    assert of(np.linspace(1, 0, 5)).state is State.NOT_EXAMINED
    assert judged(rule, a_course(a_curve("loss", falling()))).state is State.NOT_EXAMINED
