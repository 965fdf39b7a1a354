from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dnndoctor.changes import InsertAfter, Loop, MoveStatement, RemoveArgument, SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.rule import Result, State
from dnndoctor.rules.learning_rate.schedule_misuse import schedule_misuse as rule
from tests.literals import NO_SCHEDULE, a_plan, a_schedule, judged, the_clearings, the_groups
from tests.rules.said import changes, only, options

STEPS = np.linspace(0, 1, 101)
EXPONENTIAL = 0.1 * 0.95 ** np.linspace(0, 30, 31)
PER_BATCH = 0.1 * 0.95 ** np.linspace(0, 1200, 101)


def test_a_schedule_of_epochs_called_per_batch() -> None:
    schedule = a_schedule(PER_BATCH, per="step", planned=1200, rates_per_epoch=EXPONENTIAL, name="ExponentialLR")
    [found] = judged(rule, schedule, a_plan()).findings
    assert found.severity is Severity.WARNING
    assert found.location == Location("train.py", 30)
    assert "counted in epochs, is called per batch, 1200 times" in found.message
    assert found.fix is not None
    assert found.fix.code == "sched.step()  # per epoch"


def test_a_cosine_of_epochs_called_per_batch() -> None:
    waves = 0.05 * (1 + np.cos(np.pi * STEPS * 1200 / 30))
    schedule = a_schedule(
        waves,
        name="CosineAnnealingLR",
        per="step",
        planned=1200,
        settings={"T_max": 30},
        rates_per_epoch=0.05 * (1 + np.cos(np.pi * STEPS)),
    )
    [found] = judged(rule, schedule, a_plan()).findings
    assert "swings up and down" in found.message


def test_a_schedule_of_steps_called_per_step_is_sound() -> None:
    cosine = 0.05 * (1 + np.cos(np.pi * STEPS))
    schedule = a_schedule(cosine, per="step", planned=1200, rates_per_epoch=cosine[:2])
    assert judged(rule, schedule, a_plan()).state is State.PASS


def test_a_schedule_of_steps_called_per_epoch() -> None:
    one_cycle = 0.1 * np.sin(np.pi * (0.02 + 0.98 * STEPS))
    schedule = a_schedule(one_cycle[:3], name="OneCycleLR", rates_per_step=one_cycle)
    [found] = judged(rule, schedule, a_plan()).findings
    assert "counted in steps, is called per epoch, 30 times" in found.message


def test_a_step_schedule_longer_than_the_run_is_no_schedule_of_steps() -> None:
    # Called per step its rate would be nothing early on: it is counted in epochs, and the run is short.
    schedule = a_schedule([0.1] * 31, rates_per_step=0.1 * 0.1 ** (np.linspace(0, 1200, 101) // 40))
    assert judged(rule, schedule, a_plan()).state is State.PASS


def test_before_the_first_step() -> None:
    [found] = judged(rule, a_schedule(EXPONENTIAL, before_any_step=1), a_plan(), the_clearings()).findings
    assert "before the optimizer's first step" in found.message


@pytest.mark.parametrize(("line", "state"), [(30, State.FINDING), (28, State.PASS)])
def test_per_step_its_line_has_to_stand_before_the_optimizer_s(line: int, state: State) -> None:
    schedule = a_schedule(EXPONENTIAL, per="step", before_any_step=1, call_location=Location("train.py", 29))
    assert judged(rule, schedule, None, the_clearings(line)).state is state


def test_catching_up_before_training_is_sound() -> None:
    assert (
        judged(rule, a_schedule(EXPONENTIAL, before_any_step=7, per=None), a_plan(), the_clearings()).state
        is State.PASS
    )


def test_never_called() -> None:
    [found] = judged(rule, a_schedule((), calls=0, per=None, never_called=True, call_location=None)).findings
    assert found.location == Location("train.py", 21)
    assert "built but never called" in found.message


def test_a_schedule_that_raises_before_the_end() -> None:
    [found] = judged(rule, a_schedule(EXPONENTIAL, name="OneCycleLR", fails_after=20), a_plan()).findings
    assert "raises at call 21 of 30" in found.message
    early = a_plan(ends_early=True)
    assert judged(rule, a_schedule(EXPONENTIAL, fails_after=20), early).state is State.PASS


def cosine(calls: int, span: int) -> NDArray[np.float64]:
    return 0.05 * (1 + np.cos(np.pi * np.arange(calls + 1) / span))


@pytest.mark.parametrize(
    ("span", "state"), [(15, State.FINDING), (18, State.FINDING), (26, State.PASS), (30, State.PASS), (7, State.PASS)]
)
def test_a_cosine_that_rises_again(span: int, state: State) -> None:
    schedule = a_schedule(cosine(30, span), name="CosineAnnealingLR", settings={"T_max": span})
    assert judged(rule, schedule, a_plan()).state is state


def test_a_plateau_of_single_batches_has_to_have_lowered_the_rate() -> None:
    schedule = a_schedule((), name="ReduceLROnPlateau", per="step", planned=1200, given=True)
    [found] = judged(rule, schedule, a_plan(), the_groups([[0.1], [0.1], [0.001]])).findings
    assert "from 0.1 to 0.001" in found.message
    assert judged(rule, schedule, a_plan(), the_groups()).state is State.PASS
    assert judged(rule, schedule, a_plan(200, 1), the_groups([[0.1], [0.001]])).state is State.PASS


def test_a_schedule_of_another_optimizer_is_another_fault() -> None:
    schedule = a_schedule(PER_BATCH, per="step", planned=1200, rates_per_epoch=EXPONENTIAL, others=3)
    assert judged(rule, schedule, a_plan()).findings == ()


def test_without_a_call_nothing_is_judged() -> None:
    assert judged(rule, a_schedule((), calls=0, per=None)).state is State.NOT_EXAMINED
    assert judged(rule, NO_SCHEDULE).state is State.NOT_APPLICABLE


CALL, STEP = Location("train.py", 30), Location("train.py", 28)


def test_a_call_per_batch_leaves_the_loop() -> None:
    schedule = a_schedule(PER_BATCH, per="step", planned=1200, rates_per_epoch=EXPONENTIAL, name="ExponentialLR")
    assert only(judged(rule, schedule, a_plan())) == MoveStatement(CALL, after=True, loop=Loop(), at=CALL)


def test_a_call_per_epoch_goes_behind_the_step_or_the_schedule_is_made_shorter() -> None:
    one_cycle = 0.1 * np.sin(np.pi * (0.02 + 0.98 * STEPS))
    schedule = a_schedule(one_cycle[:3], name="OneCycleLR", rates_per_step=one_cycle)
    [[moved], shorter] = options(only(judged(rule, schedule, a_plan(), the_clearings())))
    assert moved == MoveStatement(STEP, after=True, at=CALL)
    assert isinstance(shorter[0], SetArgument)
    assert (shorter[0].name, shorter[0].value) == ("total_steps", "30")
    assert [each.name for each in shorter if isinstance(each, RemoveArgument)] == ["epochs", "steps_per_epoch"]


def test_a_schedule_that_is_never_called_is_called_behind_the_loop_over_batches() -> None:
    schedule = a_schedule(calls=0, never_called=True, per=None)
    change = only(judged(rule, schedule, a_plan(), the_clearings()))
    assert change == InsertAfter("sched.step()", at=STEP, loop=Loop())
    assert changes(judged(rule, a_schedule(calls=0, never_called=True, variable=None), a_plan(), the_clearings())) == ()
    plateau = a_schedule(calls=0, never_called=True, name="ReduceLROnPlateau")
    assert changes(judged(rule, plateau, a_plan(), the_clearings())) == ()


def test_half_a_wave_is_made_as_long_as_the_run() -> None:
    cosine = 0.05 * (1 + np.cos(np.pi * STEPS * 2))
    schedule = a_schedule(cosine, name="CosineAnnealingLR", settings={"T_max": 15})
    change = only(judged(rule, schedule, a_plan()))
    assert change == SetArgument("T_max", "30", position=1, of=("CosineAnnealingLR",))


def test_a_drop_that_a_short_run_does_not_reach_is_no_schedule_of_steps() -> None:
    """StepLR with a step of 30 epochs, tried for two of twenty steps each."""
    per_step = 0.1 * 0.1 ** (np.arange(41) // 30)
    assert judged(rule, a_schedule([0.1] * 3, name="StepLR", rates_per_step=per_step), a_plan()).state is State.PASS


def test_a_decay_over_all_steps_called_per_epoch() -> None:
    falling = np.linspace(0.1, 0.0, 101)
    assert judged(rule, a_schedule(falling[:4], name="LambdaLR", rates_per_step=falling), a_plan()).findings


def plateau(per: str, last: float, **changes: Any) -> Result:
    schedule = a_schedule((), name="ReduceLROnPlateau", per=per, **changes)
    return judged(rule, schedule, a_plan(), the_groups([[0.1], [0.1], [last]]))


def test_a_plateau_of_single_batches() -> None:
    [found] = plateau("step", 0.01).findings
    assert "is given the loss of single batches" in found.message


def test_a_plateau_that_is_judged_per_epoch_or_held_its_rate_is_sound() -> None:
    assert not plateau("epoch", 0.01).findings
    assert not plateau("step", 0.1).findings
    assert not plateau("step", 0.01, optimizer=None).findings


def half_wave(calls: int, **plan: Any) -> Result:
    rates = 0.05 * (1 + np.cos(np.pi * np.arange(calls + 1) / 20))
    schedule = a_schedule(rates, name="CosineAnnealingLR", planned=calls, settings={"T_max": 20})
    return judged(rule, schedule, a_plan(calls, **plan))


def test_a_cosine_that_rises_again_at_the_end() -> None:
    assert half_wave(38).state is State.FINDING


def test_a_cosine_is_sound_that_ends_low_or_early_or_is_as_long_as_the_run() -> None:
    assert half_wave(20).state is State.PASS
    assert half_wave(60).state is State.PASS
    assert half_wave(38, ends_early=True).state is State.PASS
