from __future__ import annotations

import numpy as np
import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Kept
from dnndoctor.rule import State
from dnndoctor.rules.learning_rate.rate_spike import rate_spike as rule
from tests.literals import judged
from tests.runs import a_course, a_curve, falling


def spiked(at: int = 250, times: float = 100.0, harm: float = 2.0, until: int = 400) -> tuple[np.ndarray, np.ndarray]:
    loss, rate = falling(400), np.full(400, 0.001)
    loss[at + 1 : until] += harm
    rate[at:until] *= times
    return loss, rate


def test_a_rate_that_jumps_and_a_loss_that_follows() -> None:
    loss, rate = spiked()
    course = a_course(a_curve("loss", loss), a_curve("learning rate", rate), checkpoints=(Kept("ckpt_200.pt", 200),))
    [found] = judged(rule, course).findings
    assert found.severity is Severity.ERROR
    assert "from 0.001 to 0.1 at step 250" in found.message
    assert (found.location and found.location.line, found.evidence[1].value) == (252, 250)
    assert found.fix is not None
    assert found.fix.summary == "go on from ckpt_200.pt (step 200) at a rate of 0.001"


def test_a_loss_that_comes_back_is_a_warning() -> None:
    loss, rate = spiked(until=260, harm=6.0)
    [found] = judged(rule, a_course(a_curve("loss", loss), a_curve("learning rate", rate))).findings
    assert found.severity is Severity.WARNING


def test_nan_after_the_jump() -> None:
    loss, rate = spiked(harm=0.0)
    loss[253:] = np.nan
    [found] = judged(rule, a_course(a_curve("loss", loss), a_curve("learning rate", rate))).findings
    assert found.severity is Severity.ERROR
    assert found.message.endswith("the loss is not finite from then on")


@pytest.mark.parametrize("shape", ["restarts", "warm-up", "harmless", "elsewhere"])
def test_what_is_sound(shape: str) -> None:
    loss, rate = falling(400), np.full(400, 0.001)
    if shape == "restarts":
        rate = 0.0005 * (1 + np.cos(np.pi * (np.arange(400) % 100) / 100))
    elif shape == "warm-up":
        rate[:50] = np.linspace(0, 0.001, 50)
    elif shape == "harmless":
        rate[200:] = 0.01
    else:
        rate[100:] = 0.01
        loss[300:] += 3.0
    assert judged(rule, a_course(a_curve("loss", loss), a_curve("learning rate", rate))).state is State.PASS


def test_where_it_says_nothing() -> None:
    assert judged(rule, a_course(a_curve("loss", falling()))).state is State.NOT_EXAMINED
    constant = a_curve("learning rate", np.full(400, 0.1))
    assert judged(rule, a_course(a_curve("loss", falling()), constant)).state is State.NOT_APPLICABLE
