from __future__ import annotations

import numpy as np
import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Kept
from dnndoctor.rule import Result, State
from dnndoctor.rules.regularization.validation_parts_from_training import validation_parts_from_training as rule
from tests.literals import judged
from tests.runs import a_course, a_curve, falling

STEPS = np.arange(1, 21) * 20 - 1


def of(held: np.ndarray, training: np.ndarray | None = None) -> Result:
    loss = a_curve("loss", falling() if training is None else training)
    kept = (Kept("epoch=5.ckpt", 119), Kept("epoch=9.ckpt", 199))
    return judged(rule, a_course(loss, a_curve("validation loss", held, STEPS[: len(held)]), checkpoints=kept))


def turning(at: int, rise: float) -> np.ndarray:
    epochs = np.arange(20.0)
    held: np.ndarray = 1.0 + 0.1 * np.maximum(at - epochs, 0) + rise * np.maximum(epochs - at, 0)
    return held


@pytest.mark.parametrize("at", [3, 5, 9, 14])
def test_the_epoch_from_which_it_overfits(at: int) -> None:
    [found] = of(turning(at, 0.05)).findings
    assert f"over-fits from step {STEPS[at]} on" in found.message


def test_how_grave_it_is_and_what_to_take() -> None:
    [slight], [grave] = of(turning(9, 0.02)).findings, of(turning(9, 0.2)).findings
    assert (slight.severity, grave.severity) == (Severity.WARNING, Severity.ERROR)
    assert grave.fix is not None
    assert grave.fix.summary.startswith("take epoch=9.ckpt (step 199)")


@pytest.mark.parametrize("held", [falling(20), np.full(20, 1.0), turning(18, 0.5), turning(9, 0.002)])
def test_falling_level_late_and_slight_rises_are_sound(held: np.ndarray) -> None:
    assert of(held).state is State.PASS


def test_where_both_rise_it_is_no_overfitting() -> None:
    risen = falling()
    risen[200:] += 3.0
    assert of(turning(9, 0.2), risen).state is State.PASS


def test_where_it_says_nothing() -> None:
    assert of(falling(4)).state is State.NOT_EXAMINED
    assert of(-falling(20)).state is State.NOT_APPLICABLE
    assert judged(rule, a_course(a_curve("loss", falling()))).state is State.NOT_EXAMINED
