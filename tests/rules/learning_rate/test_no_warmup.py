from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Activations, Steps
from dnndoctor.rule import State
from dnndoctor.rules.learning_rate.no_warmup import no_warmup as rule
from tests.literals import an_optimizer, judged, the_groups

ATTENDS = Activations((), None, True)


def losses(worst: float) -> Steps:
    loss = np.linspace(4.0, 2.0, 50)
    loss[5:12] = 4.0 * worst
    none = np.zeros(50)
    return Steps(np.arange(50), loss, np.full(50, 1e-3), none, none)


@pytest.mark.parametrize(
    ("worst", "severity"), [(1.05, None), (1.11, Severity.INFO), (1.45, Severity.INFO), (1.6, Severity.WARNING)]
)
def test_how_far_the_loss_rises_decides(worst: float, severity: Severity | None) -> None:
    adam, rates = an_optimizer("AdamW", 1e-3), the_groups([[1e-3], [1e-3]])
    findings = judged(rule, ATTENDS, adam, rates, losses(worst)).findings
    assert [each.severity for each in findings] == ([] if severity is None else [severity])
    assert all(each.location == Location("train.py", 20, 48) for each in findings)


@pytest.mark.parametrize(("changes", "rates"), [({"warming_up": True}, [[1e-3], [1e-3]]), ({}, [[1e-4], [1e-3]])])
def test_a_warm_up_is_sound(changes: dict[str, Any], rates: list[list[float]]) -> None:
    adam = an_optimizer("Adam", 1e-3, **changes)
    assert judged(rule, ATTENDS, adam, the_groups(rates), losses(3.0)).state is State.PASS


def test_a_rise_with_the_first_step_is_seen() -> None:
    """As of eight post-norm layers: the longest of Adam's steps is its first."""
    loss = np.array([2.18, 2.59, 2.58, 2.3, 2.15, 2.05, *np.full(44, 1.97)])
    steps = Steps(np.arange(50), loss, np.full(50, 1e-2), np.zeros(50), np.zeros(50))
    found = judged(rule, ATTENDS, an_optimizer("Adam", 1e-2), the_groups([[1e-2], [1e-2]]), steps).findings
    assert [each.severity for each in found] == [Severity.INFO]
    assert found[0].evidence[0].value == pytest.approx(2.58 / 2.18)


def test_a_rise_within_the_noise_of_batches_is_none() -> None:
    """Small batches of sequences of all lengths, the first of them an easy one."""
    loss = 4.0 + np.random.default_rng(1).normal(0, 0.4, 50)
    loss[0] = 3.7
    steps = Steps(np.arange(50), loss, np.full(50, 1e-3), np.zeros(50), np.zeros(50))
    adam, rates = an_optimizer("Adam", 1e-3), the_groups([[1e-3], [1e-3]])
    assert judged(rule, ATTENDS, adam, rates, steps).state is State.PASS
    assert judged(rule, ATTENDS, adam, rates, steps, noises=0.0).findings


def test_where_it_says_nothing() -> None:
    rates, steps = the_groups([[1e-3], [1e-3]]), losses(3.0)
    assert (
        judged(rule, Activations((), None, False), an_optimizer("Adam", 1e-3), rates, steps).state
        is State.NOT_APPLICABLE
    )
    assert judged(rule, ATTENDS, an_optimizer("SGD", 0.1), rates, steps).state is State.NOT_APPLICABLE
    assert judged(rule, ATTENDS, an_optimizer("Adam", 3e-4), rates, steps).state is State.NOT_APPLICABLE
    ones = np.ones(10)
    few = Steps(np.arange(10), ones, ones, ones, ones)
    assert judged(rule, ATTENDS, an_optimizer("Adam", 1e-3), rates, few).state is State.NOT_EXAMINED


def test_losses_below_zero_or_few_are_not_judged() -> None:
    adam, rates = an_optimizer("Adam", 1e-3), the_groups([[1e-3], [1e-3]])
    below = losses(3.0)
    below.loss[30] = -1.0
    assert judged(rule, ATTENDS, adam, rates, below).state is State.NOT_EXAMINED
    broken = losses(3.0)
    broken.loss[15:] = np.nan
    assert judged(rule, ATTENDS, adam, rates, broken).state is State.NOT_EXAMINED
    assert judged(rule, ATTENDS, adam, the_groups(np.zeros((0, 1))), losses(3.0)).state is State.NOT_EXAMINED
