from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import History
from dnndoctor.rule import State
from dnndoctor.rules.epochs.trained_past_best import trained_past_best as rule
from tests.literals import HERE, NO_HABITS, NO_HISTORY, judged


def validated(losses: Any, complete: bool = True) -> History:
    steps = np.arange(1, len(losses) + 1) * 10
    return replace(
        NO_HISTORY,
        validation_step=steps,
        validation_loss=np.asarray(losses, np.float64),
        validation_location=HERE,
        complete=complete,
    )


FALLS_AND_RISES = [1.0, 0.8, 0.6, 0.5, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_a_loss_that_rises_for_most_of_the_run() -> None:
    [found] = judged(rule, validated(FALLS_AND_RISES), NO_HABITS).findings
    assert (found.severity, found.location) == (Severity.WARNING, HERE)
    assert found.message == "the validation loss was best, 0.5, at step 40 of 110, and is 0.9 at the end"


@pytest.mark.parametrize(
    "losses",
    [
        np.linspace(1.0, 0.3, 20),
        [1.0, 0.5, 0.5, 0.52, 0.5, 0.53, 0.5, 0.52, 0.51, 0.5],
        [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.4, 0.4, 0.9],
    ],
)
def test_falling_level_and_one_bad_end_are_sound(losses: Any) -> None:
    assert judged(rule, validated(losses), NO_HABITS).state is State.PASS


def test_where_it_says_nothing() -> None:
    assert judged(rule, validated(FALLS_AND_RISES, complete=False)).state is State.NOT_EXAMINED
    assert judged(rule, validated(FALLS_AND_RISES[4:])).state is State.NOT_EXAMINED
    best = replace(NO_HABITS, keeps_best=HERE)
    assert judged(rule, validated(FALLS_AND_RISES), best).state is State.NOT_APPLICABLE
    assert judged(rule, validated([-each for each in FALLS_AND_RISES])).state is State.NOT_APPLICABLE
