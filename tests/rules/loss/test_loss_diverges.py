from __future__ import annotations

import numpy as np

from dnndoctor.rule import State
from dnndoctor.rules.loss.loss_diverges import loss_diverges as rule
from tests.literals import judged
from tests.runs import a_course, a_curve, falling


def test_a_loss_that_rises_for_good() -> None:
    loss, norm = falling(), np.full(400, 1.0)
    loss[300:] += 2.0
    norm[296:] = 50.0
    [found] = judged(rule, a_course(a_curve("loss", loss), a_curve("gradient norm", norm))).findings
    assert found.message.startswith("the training loss rises for good from step 300 on: from 0.6")
    assert found.message.endswith("gradient norm moved first, at step 296")


def test_a_rate_that_is_still_rising_is_said() -> None:
    loss = falling()
    loss[200:] += 2.0
    course = a_course(a_curve("loss", loss), a_curve("learning rate", 0.01 * np.arange(1, 401)))
    [found] = judged(rule, course).findings
    assert "while the learning rate is still rising" in found.message
    assert found.fix is not None
    assert "at a rate of 0.7" in found.fix.summary


def test_what_is_sound_and_where_it_says_nothing() -> None:
    assert judged(rule, a_course(a_curve("loss", falling()))).state is State.PASS
    jump = falling()
    jump[200:210] += 6.0
    assert judged(rule, a_course(a_curve("loss", jump))).state is State.PASS
    assert judged(rule, a_course(a_curve("loss", falling(10)))).state is State.NOT_EXAMINED
    assert judged(rule, a_course(a_curve("validation loss", falling()))).state is State.NOT_EXAMINED


def test_harder_data_make_a_loss_rise_that_falls_again() -> None:
    loss = falling()
    level = float(np.median(loss[180:200]))
    loss[200:] = level + 0.05 + 0.8 * np.exp(-np.arange(200) / 60)
    assert judged(rule, a_course(a_curve("loss", loss))).state is State.PASS


def test_a_loss_that_falls_only_back_to_where_it_began_has_lost_everything() -> None:
    loss = falling()
    loss[200:] = 1.1 * loss[:5].mean() + 40.0 * np.exp(-np.arange(200) / 20)
    assert judged(rule, a_course(a_curve("loss", loss))).findings


def test_a_surrogate_around_zero_need_not_fall() -> None:
    noise = np.random.default_rng(0).standard_normal(400)
    loss = 0.02 * noise - 0.15 * np.exp(-np.arange(400) / 40) * (np.arange(400) > 30)
    assert judged(rule, a_course(a_curve("loss", loss))).state in (State.NOT_APPLICABLE, State.PASS)
    below = falling() - 4.0  # a log-density: it began high above zero, and comes back there
    below[200:] = 3.0
    assert judged(rule, a_course(a_curve("loss", below))).findings
