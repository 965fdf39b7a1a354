from __future__ import annotations

import numpy as np

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.rule import State
from dnndoctor.rules.learning_rate.schedule_decays_too_soon import schedule_decays_too_soon as rule
from tests.literals import NO_SCHEDULE, a_plan, a_schedule, judged
from tests.rules.said import changes, only


def test_a_rate_that_is_gone_in_the_first_quarter_is_an_error() -> None:
    [found] = judged(
        rule, a_schedule(0.1 * 0.7 ** np.arange(101), name="ExponentialLR", settings={"gamma": 0.7})
    ).findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 21)
    assert "below 1% of its peak after 4 of 30 calls" in found.message
    assert found.fix is not None
    assert found.fix.code == "torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.85770)"


def test_where_the_loop_may_end_early_it_is_a_warning() -> None:
    [found] = judged(rule, a_schedule(0.1 * 0.7 ** np.arange(101)), a_plan(ends_early=True)).findings
    assert found.severity is Severity.WARNING


def test_a_rate_that_is_gone_before_a_third_is_a_warning() -> None:
    [found] = judged(rule, a_schedule([1.0] * 30 + [1e-3] * 70)).findings
    assert found.severity is Severity.WARNING


def test_the_threshold() -> None:
    assert judged(rule, a_schedule([1.0] * 33 + [1e-3] * 67)).state is State.PASS
    assert judged(rule, a_schedule([1.0] * 32 + [1e-3] * 68)).state is State.FINDING
    [found] = judged(rule, a_schedule([1.0] * 25 + [1e-3] * 75)).findings
    assert found.severity is Severity.WARNING


def test_schedules_of_published_runs_are_sound() -> None:
    steps = np.arange(91)
    for rates in (0.1 * 0.1 ** (steps // 30), 0.1 * (1 + np.cos(np.pi * steps / 90)) / 2, 0.1 * 0.95**steps):
        assert judged(rule, a_schedule(rates)).state is State.PASS


def test_a_rate_that_comes_back_is_sound() -> None:
    assert judged(rule, a_schedule(([1.0] * 5 + [1e-4] * 20) * 4)).state is State.PASS


def test_what_could_not_be_run_is_not_judged() -> None:
    result = judged(rule, a_schedule((), missing="it depends on a metric"))
    assert (result.state, result.reason) == (State.NOT_EXAMINED, "it depends on a metric")
    assert judged(rule, NO_SCHEDULE).state is State.NOT_APPLICABLE


def test_the_factor_is_fitted_to_the_number_of_calls() -> None:
    rates = 0.1 * 0.7 ** np.arange(101)
    change = only(judged(rule, a_schedule(rates, name="ExponentialLR", settings={"gamma": 0.7})))
    assert isinstance(change, SetArgument)
    assert (change.name, change.value, change.position) == ("gamma", "0.8577", 1)
    change = only(judged(rule, a_schedule(rates, settings={"step_size": 3, "gamma": 0.3})))
    assert isinstance(change, SetArgument)
    assert (change.name, change.value, change.position) == ("gamma", "0.631", 2)  # ten times


def test_where_the_pace_is_the_fault_the_factor_stays() -> None:
    rates = [1.0] * 10 + [1e-3] * 90
    assert changes(judged(rule, a_schedule(rates, per="step", rates_per_epoch=[1.0] * 60 + [0.1] * 40))) == ()
