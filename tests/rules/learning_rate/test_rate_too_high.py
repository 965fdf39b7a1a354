from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import LearningRateSweep, Optimizers, Run, Steps
from dnndoctor.rule import Result, State
from dnndoctor.rules.learning_rate.rate_too_high import rate_too_high
from tests.rules.said import changes, only

Sweep = Callable[..., LearningRateSweep]
Opts = Callable[..., Optimizers]


def judge(*measured: Any, **thresholds: Any) -> Result:
    return rate_too_high.evaluate({type(each): each for each in measured}, thresholds)


def steps(loss: list[float]) -> Steps:
    n = len(loss)
    return Steps(np.arange(n), np.array(loss), np.full(n, 5.0), np.zeros(n), np.zeros(n))


def test_near_the_edge_with_harm_is_a_warning(sweep: Sweep, optimizers: Opts) -> None:
    [found] = judge(sweep(6.0, 2.1), optimizers()).findings
    assert found.severity is Severity.WARNING
    assert found.location == Location("train.py", 20, 48)
    assert "0.03 gives loss 0.6 instead of 2.1 after the same 20 steps" in found.message
    assert found.fix is not None
    assert found.fix.code == "lr=0.03"


def test_without_an_argument_the_optimizer_is_the_place(sweep: Sweep, optimizers: Opts) -> None:
    [found] = judge(sweep(6.0, 2.1), optimizers(rate_location=None)).findings
    assert found.location == Location("train.py", 20)


def test_near_the_edge_without_harm_is_sound(sweep: Sweep, optimizers: Opts) -> None:
    assert judge(sweep(6.0, 0.4), optimizers()).state is State.PASS


def test_the_edge_at_the_threshold(sweep: Sweep, optimizers: Opts) -> None:
    wide = {"usable": (0.05, 6.0)}
    assert judge(sweep(5.0, 2.1, **wide), optimizers()).state is State.FINDING
    assert judge(sweep(4.99, 2.1, **wide), optimizers()).state is State.PASS


def test_harm_at_the_threshold(sweep: Sweep, optimizers: Opts) -> None:
    assert judge(sweep(6.0, 1.29), optimizers()).state is State.PASS
    assert judge(sweep(6.0, 1.31), optimizers()).state is State.FINDING


def test_a_rate_far_beyond_the_usable_ones_needs_no_edge(sweep: Sweep, optimizers: Opts) -> None:
    assert judge(sweep(0.5, 2.3, diverging_rate=None), optimizers()).state is State.FINDING
    assert judge(sweep(0.3, 2.3, diverging_rate=None), optimizers()).state is State.PASS


@pytest.mark.parametrize("lost", [np.inf, np.nan])
def test_a_user_rate_that_diverged_in_the_sweep(sweep: Sweep, optimizers: Opts, lost: float) -> None:
    [found] = judge(sweep(20.0, lost), optimizers()).findings
    assert "makes the loss diverge" in found.message
    assert "where 20 diverges" in found.message


@pytest.mark.parametrize("loss", [[2.3, 40.0, np.nan], [2.3] * 5 + [5.0] * 10 + [9.0] * 10])
def test_a_diverged_run_is_an_error(sweep: Sweep, optimizers: Opts, loss: list[float]) -> None:
    [found] = judge(sweep(6.0, 2.1), optimizers(), steps(loss)).findings
    assert found.severity is Severity.ERROR


@pytest.mark.parametrize(
    "loss", [[2.3, 90.0] + [1.0] * 20, [2.3] * 5 + [9.0] * 4, [4.6] * 30, [2.3] * 20 + [4.6] * 10, [2.3, np.inf, 2.0]]
)
def test_spikes_and_short_or_level_losses_are_no_divergence(sweep: Sweep, optimizers: Opts, loss: list[float]) -> None:
    assert judge(sweep(0.2, 0.35), optimizers(), steps(loss)).state is State.PASS


def test_divergence_that_no_lower_rate_mends_is_another_fault(sweep: Sweep, optimizers: Opts) -> None:
    flat = sweep(6.0, 2.3, best_score=2.25)
    assert judge(flat, optimizers(), steps([2.3, 40.0, np.nan])).state is State.PASS


def test_the_best_rate_itself_is_sound(sweep: Sweep, optimizers: Opts) -> None:
    assert judge(sweep(0.1, 0.3), optimizers()).state is State.PASS


def test_progress_within_the_noise_says_nothing(sweep: Sweep, optimizers: Opts) -> None:
    assert judge(sweep(6.0, 2.1, noise=0.67), optimizers()).state is State.PASS


def test_an_unsure_sweep_gives_information_only(sweep: Sweep, optimizers: Opts) -> None:
    [found] = judge(sweep(6.0, 2.1, confidence="low"), optimizers()).findings
    assert found.severity is Severity.INFO


def test_warm_up_is_not_judged(sweep: Sweep, optimizers: Opts) -> None:
    assert judge(sweep(6.0, 2.1), optimizers(warming_up=True)).state is State.NOT_APPLICABLE


@pytest.mark.parametrize("family", ["gan", "reinforcement"])
def test_families_whose_loss_need_not_fall(sweep: Sweep, optimizers: Opts, family: str) -> None:
    run = Run("cpu", None, 50, family=family)
    assert judge(sweep(6.0, 2.1), optimizers(), run).state is State.NOT_APPLICABLE


def test_groups_with_rates_of_their_own_get_a_factor(sweep: Sweep, optimizers: Opts) -> None:
    [found] = judge(sweep(6.0, 2.1), optimizers(rates=(6.0, 0.6))).findings
    assert found.fix is not None
    assert "*= 0.005" in str(found.fix.code)


def test_no_sweep_is_not_examined(optimizers: Opts) -> None:
    assert judge(optimizers()).state is State.NOT_EXAMINED


def test_a_warm_up_does_not_excuse_a_loss_that_ran_away(sweep: Sweep, optimizers: Opts) -> None:
    away = steps([2.4, 1.0, 0.4, 0.27, 0.3, 5.0, 80.0, 900.0, 2e4, 6e5, 3e6, 7.5e7])
    one_cycle = optimizers(warming_up=True, settings={"max_lr": 20.0})
    [found] = judge(sweep(19.6, np.inf), one_cycle, away).findings
    assert found.severity is Severity.ERROR
    assert found.fix is not None
    assert str(found.fix.code).startswith("max_lr=")


def test_a_warm_up_whose_loss_falls_is_not_judged(sweep: Sweep, optimizers: Opts) -> None:
    falling = steps([2.4, 2.3, 2.1, 1.9, 1.6, 1.3, 1.0, 0.8, 0.6, 0.5, 0.4, 0.3])
    assert judge(sweep(6.0, 2.1), optimizers(warming_up=True), falling).state is State.NOT_APPLICABLE


def test_a_trial_that_breaks_down_is_an_error_where_the_own_steps_bring_nothing(sweep: Sweep, optimizers: Opts) -> None:
    flat = steps([2.3] * 50)
    broken = sweep(10.0, np.inf)
    [found] = judge(broken, optimizers(), flat).findings
    assert found.severity is Severity.ERROR
    falling = steps(list(np.linspace(2.3, 0.9, 50)))
    [found] = judge(broken, optimizers(), falling).findings
    assert found.severity is Severity.WARNING, "the run itself gets through at this rate"
    [found] = judge(sweep(10.0, np.inf, confidence="medium"), optimizers(), flat).findings
    assert found.severity is Severity.WARNING


def test_the_measured_rate_is_written_where_the_source_has_one(sweep: Sweep, optimizers: Opts) -> None:
    there = Location("train.py", 20, 48)
    assert only(judge(sweep(6.0, 2.1), optimizers())) == SetArgument("lr", "0.03", at=there)
    default = only(judge(sweep(6.0, 2.1), optimizers(rate_location=None)))
    assert default == SetArgument("lr", "0.03", position=1, at=Location("train.py", 20), of=("SGD",))
    [found] = judge(sweep(6.0, 2.1), optimizers()).findings
    assert found.fix is not None
    assert found.fix.verified


def test_groups_with_rates_of_their_own_are_left_to_a_person(sweep: Sweep, optimizers: Opts) -> None:
    assert changes(judge(sweep(6.0, 2.1), optimizers(rates=(6.0, 0.6)))) == ()


def thrown_up(sweep: Sweep, peak: float, user_score: float = 0.7, **changes: Any) -> LearningRateSweep:
    """Rate 0.5, beyond the usable ones: the loss is thrown to ``peak`` by the first step, then recovers."""
    plain = sweep(0.5, user_score, **changes)
    calm = np.array([2.0, 2.0, 2.0])
    own = np.array([2.0, peak, 2.5])
    return replace(plain, curves=tuple(own if rate == 0.5 else calm for rate in plain.rates))


def test_a_loss_that_is_thrown_up_and_left_behind(sweep: Sweep, optimizers: Opts) -> None:
    [found] = judge(thrown_up(sweep, 14.0), optimizers()).findings
    assert found.severity is Severity.WARNING
    assert "throws the loss to 7.0 times its size at first" in found.message


def test_a_jump_alone_is_sound(sweep: Sweep, optimizers: Opts) -> None:
    assert judge(thrown_up(sweep, 14.0, 0.59), optimizers()).state is State.PASS  # it has caught up
    assert judge(thrown_up(sweep, 5.9), optimizers()).state is State.PASS
    assert judge(thrown_up(sweep, 14.0, usable=(0.05, 0.3)), optimizers()).state is State.PASS
    assert judge(thrown_up(sweep, 14.0, paired=False), optimizers()).state is State.PASS


def test_a_jump_from_a_floor_is_no_measure(sweep: Sweep, optimizers: Opts) -> None:
    """Fine-tuning starts low: any first step is large beside it."""
    assert judge(thrown_up(sweep, 14.0, 4.0, start=6.0, best_score=3.5), optimizers()).state is State.PASS


def test_losses_after_as_many_steps_are_compared(sweep: Sweep, optimizers: Opts) -> None:
    """The suggested rate's score is of the first round; its trial went on as long as the user's."""
    plain = sweep(6.0, 2.1, score_steps=10)
    curves = tuple(np.linspace(2.3, 0.2, 20) if rate == 0.03 else np.full(10, 2.0) for rate in plain.rates)
    [found] = judge(replace(plain, curves=curves), optimizers()).findings
    assert "0.03 gives loss 0.476 instead of 2.1 after the same 20 steps" in found.message
