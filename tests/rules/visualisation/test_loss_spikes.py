from __future__ import annotations

from dataclasses import replace

import numpy as np

from dnndoctor.findings import Severity
from dnndoctor.measurements import History
from dnndoctor.rule import State
from dnndoctor.rules.visualisation.loss_spikes import loss_spikes as rule
from tests.literals import NO_HISTORY, judged


def course(loss_at_150: float = 1.0, norm_at_150: float = 1.0, level: float = 1.0, steps: int = 200) -> History:
    drawn = np.random.default_rng(0).normal(0, 0.05, (2, steps))
    loss, norm = level * (1 + drawn[0]), 1 + drawn[1]
    loss[:20] = 2.0
    if steps > 150:
        loss[150] *= loss_at_150
        norm[150] *= norm_at_150
    return replace(NO_HISTORY, loss=loss, grad_norm=norm)


def test_a_jump_of_loss_and_gradient() -> None:
    [found] = judged(rule, course(4.0, 8.0)).findings
    assert found.severity is Severity.INFO
    assert "at step 150" in found.message
    assert "in one of 1 spikes" in found.message


def test_either_alone_is_sound() -> None:
    assert judged(rule, course(4.0)).state is State.PASS
    assert judged(rule, course(1.0, 8.0)).state is State.PASS


def test_a_jump_below_twice_the_level_is_sound() -> None:
    assert judged(rule, course(1.8, 8.0)).state is State.PASS


def test_near_zero_a_ratio_says_nothing() -> None:
    assert judged(rule, course(10.0, 8.0, level=1e-3)).state is State.PASS


def test_where_it_says_nothing() -> None:
    assert judged(rule, course(steps=100)).state is State.NOT_EXAMINED
    assert judged(rule, course(level=-1.0)).state is State.NOT_APPLICABLE
