"""The sweep's decisions, on losses that are known in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dnndoctor.probes.learning_rate import LearningRateProbe, ladder
from dnndoctor.probes.rate_setter import RateSetter


def sweep(
    curve: Callable[[float, int], float], user_rate: float, optimizer: str = "SGD", budget: int = 2000
) -> LearningRateProbe:
    probe = LearningRateProbe(user_rate, optimizer, budget)
    step, verdict = 0, "next"
    while verdict != "done":
        verdict = probe.after_step(curve(probe.rate, step))
        step = 0 if verdict == "next" else step + 1
    return probe


def quadratic(rate: float, step: int, curvature: float = 2.0) -> float:
    """Gradient descent on a parabola: it diverges from 2 / curvature on, and is fastest at 1 / curvature."""
    return float(min(abs(1 - rate * curvature) ** (2 * step) + 0.01, 1e30))


def test_a_parabola_s_best_and_diverging_rates_are_found() -> None:
    facts = sweep(quadratic, 0.01).facts(paired=True)
    assert 0.2 <= facts["best_rate"] <= 0.8
    assert 1.0 <= facts["diverging_rate"] <= 3.2
    assert facts["user_score"] > facts["best_score"]
    assert facts["confidence"] == "high"


def test_a_rate_that_never_gets_finite_is_dropped_and_counts_as_diverged() -> None:
    def curve(rate: float, step: int) -> float:
        return math.nan if rate > 0.5 and step else quadratic(rate, step)

    facts = sweep(curve, 0.1).facts(paired=True)
    assert facts["diverging_rate"] == pytest.approx(1.0)
    assert facts["scores"][-1] == math.inf


def test_a_heavy_first_batch_drops_no_rate() -> None:
    def curve(rate: float, step: int) -> float:
        return quadratic(rate, step) + (50.0 if step == 4 else 0.0)

    facts = sweep(curve, 0.01).facts(paired=True)
    assert 0.2 <= facts["best_rate"] <= 0.8


def test_too_small_a_budget_shortens_the_sweep() -> None:
    assert LearningRateProbe(0.01, "SGD", 2000).planned > LearningRateProbe(0.01, "SGD", 200).planned
    assert len(sweep(quadratic, 0.01, budget=150).done) == 1


def test_an_unfinished_first_round_says_nothing() -> None:
    probe = LearningRateProbe(0.01, "Adam", 2000)
    for _ in range(5):
        probe.after_step(1.0)
    probe.stop()
    assert probe.facts(paired=True) == {}


@given(st.floats(1e-9, 1e3), st.sampled_from(["SGD", "Adam"]))
@settings(max_examples=100)
def test_the_ladder_holds_the_user_s_rate_and_leaves_room_on_both_sides(rate: float, optimizer: str) -> None:
    rates = ladder(rate, optimizer)
    assert rate in rates
    assert rates == sorted(rates)
    assert rates[0] <= rate / 3
    assert rates[-1] >= rate * 3


def test_the_rate_that_is_said_is_the_rate_that_is_set_whatever_a_schedule_did_before() -> None:
    weight, bias = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([{"params": [weight], "lr": 1e-5}, {"params": [bias], "lr": 1e-6}])
    setter = RateSetter(optimizer)
    for group, rate in zip(optimizer.param_groups, (0.1, 0.01), strict=True):
        group["lr"] = rate  # as a snapshot's restore brings the first step's rates back
    setter.set(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.5, 0.05])
    setter.put_back(optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.01]
