"""Each figure of a probe: any figures can be drawn, and the caption says what they come to."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dnndoctor.measurements import (
    BlankedInputs,
    Dependence,
    History,
    LearningMethods,
    LearningRateSweep,
    Loading,
    LoadingPoint,
    MethodRun,
    MixedPrecision,
    Mixing,
    OneBatch,
    OneBatchTrial,
    Overfitting,
    PaddedLayer,
    Padding,
    Remedies,
    Remedy,
    SampleOrder,
    Schedule,
    Schedules,
    Steps,
    StepTime,
    Timed,
    TrainingNoise,
    WarmStart,
    Width,
    Widths,
)
from tests.reports.drawings import sound

ANY = st.floats(allow_nan=True, allow_infinity=True)
SECONDS = st.floats(1e-7, 1e3)
TEXT = st.text(max_size=30)


def column(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, np.float64)


def caption(seen: Any, name: str) -> str:
    """The caption of the figure of that name, drawn from one measurement."""
    [found] = [each.caption for each in sound({type(seen): seen}) if each.id == f"figure-{name}"]
    return found


@given(st.lists(st.tuples(TEXT, ANY, st.lists(st.lists(ANY, max_size=6), max_size=3)), min_size=1, max_size=5))
def test_any_methods_can_be_drawn(given_: list[tuple[str, float, list[list[float]]]]) -> None:
    runs = tuple(
        MethodRun(name, i == 0, rate, tuple(map(column, curves)), tuple(c[-1] for c in curves if c))
        for i, (name, rate, curves) in enumerate(given_)
    )
    sound({LearningMethods: LearningMethods("SGD", 50, runs, True)})


def test_methods_are_compared_by_their_median_seed() -> None:
    slow, fast = (column([2.0, 1.5, end]) for end in (1.2, 0.4))
    runs = (MethodRun("SGD", True, 0.1, (slow, slow), (1.2, 1.2)), MethodRun("Adam", False, 0.01, (fast,), (0.4,)))
    words = caption(LearningMethods("SGD", 50, runs, True), "learning-method")
    assert words == "Adam at 0.01 ends lowest, at 0.4 after 50 steps; yours, SGD at 0.1, ends at 1.2."


@given(st.lists(st.tuples(ANY, st.booleans(), ANY, ANY, st.lists(ANY, max_size=9)), min_size=1, max_size=4), ANY)
def test_any_trial_on_one_batch_can_be_drawn(
    trials: list[tuple[float, bool, float, float, list[float]]], c: float
) -> None:
    made = tuple(
        OneBatchTrial(rate, dropout, max(len(curve), 1), start, end, False, column(curve))
        for rate, dropout, start, end, curve in trials
    )
    sound({OneBatch: OneBatch(made, entropy=c)})


def test_one_batch_says_whether_it_was_learned() -> None:
    learned = OneBatchTrial(0.1, True, 38, 2.3, 0.02, True, column([2.3, 0.5, 0.02]))
    stuck = OneBatchTrial(0.1, True, 200, 2.3, 2.2, False, column([2.3, 2.25, 2.2]))
    assert caption(OneBatch((learned,)), "one-batch").startswith("The model learns one batch by heart")
    assert "a tenth of the start was asked for" in caption(OneBatch((stuck,)), "one-batch")


@given(ANY, ANY, ANY, ANY, st.lists(ANY, max_size=8), st.lists(ANY, max_size=8))
def test_any_blanked_inputs_can_be_drawn(
    start: float, real: float, blank: float, error: float, one: list[float], two: list[float]
) -> None:
    sound(
        {BlankedInputs: BlankedInputs(0.1, 40, start, real, blank, error, None, True, False, column(one), column(two))}
    )


@pytest.mark.parametrize(("blank", "words"), [(0.51, "teach the model nothing"), (2.0, "learns from its input")])
def test_zeros_that_do_as_well_say_so(blank: float, words: str) -> None:
    assert words in caption(BlankedInputs(0.1, 40, 2.3, 0.5, blank, 0.02, None, True), "blanked-inputs")


@given(st.lists(ANY, min_size=1, max_size=3), st.integers(0, 10**6), ANY, ANY, ANY)
def test_any_noise_can_be_drawn(scores: list[float], size: int, scale: float, low: float, high: float) -> None:
    sound({TrainingNoise: TrainingNoise(0.1, tuple(scores), 0.1, size, 16, scale, low, high)})


@given(st.lists(st.tuples(st.integers(0, 64), SECONDS, SECONDS), max_size=5), st.integers(0, 8), SECONDS, SECONDS)
def test_any_loading_can_be_drawn(points: list[tuple[int, float, float]], own: int, wait: float, step: float) -> None:
    tried = tuple(LoadingPoint(workers, start, batch, 10) for workers, start, batch in points)
    assert bool(sound({Loading: Loading(own, 4, wait, step, 100, points=tried)})) == bool(points)


@given(st.lists(st.tuples(TEXT, st.lists(ANY, max_size=9), st.none() | st.integers(1, 10**9)), max_size=4))
def test_any_schedule_can_be_drawn(given_: list[tuple[str, list[float], int | None]]) -> None:
    made = tuple(Schedule(name, None, 0, planned=calls, rates=column(rates)) for name, rates, calls in given_)
    sound({Schedules: Schedules(made)})


def test_a_schedule_that_changes_nothing_says_so() -> None:
    flat = Schedule("StepLR", None, 0, planned=30, per="epoch", rates=column([0.1] * 5))
    falls = Schedule("CosineAnnealingLR", None, 0, planned=30, per="epoch", rates=column([0.1, 0.05, 0.0]))
    assert "StepLR leaves the rate at 0.1 over 30 calls." in caption(Schedules((flat,)), "schedule")
    assert "takes the rate from 0.1 to 0 over 30 calls." in caption(Schedules((falls,)), "schedule")


@given(
    st.integers(1, 3).flatmap(lambda n: st.lists(st.lists(ANY, min_size=n, max_size=n), min_size=1, max_size=6)), ANY
)
def test_any_held_out_losses_can_be_drawn(table: list[list[float]], start: float) -> None:
    losses = column(table).T
    marks = np.arange(1, losses.shape[1] + 1)
    sound({Overfitting: Overfitting(marks, losses, losses, start, 100, 1000, 3.0, losses, losses)})


def test_the_held_out_loss_that_rises_is_named() -> None:
    held = column([[2.0, 1.0, 1.6], [2.0, 1.1, 1.7]])
    found = Overfitting(np.array([3, 9, 27]), held / 2, held, 2.3, 100, 1000, 3.0)
    words = caption(found, "overfitting")
    assert words == "The held-out loss is lowest, 1.05 at step 9, and ends at 1.65; mean of 2 splits."


@given(st.lists(st.tuples(ANY, st.lists(ANY, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_anything_tried_against_over_fitting_can_be_drawn(tried: list[tuple[float, list[float]]]) -> None:
    remedies = tuple(Remedy("dropout", value, column(losses)) for value, losses in tried)
    widths = tuple(Width(value, 10, column(losses), column(losses)) for value, losses in tried)
    warm = WarmStart(column(tried[0][1]), column(tried[-1][1]), 2.3, 100, 50)
    sound({Remedies: Remedies(100, remedies), Widths: Widths(100, widths), WarmStart: warm})


@pytest.mark.parametrize(("gain", "words"), [(0.5, "in every split"), (0.0, "Nothing that was tried surely helps")])
def test_a_remedy_within_chance_is_not_called_one(gain: float, words: str) -> None:
    held = column([[2.0, 1.0, 1.6], [2.0, 1.1, 1.7], [2.0, 0.9, 1.8]])
    before = Overfitting(np.array([3, 9, 27]), held, held, 2.3, 100, 1000, 3.0)
    remedies = Remedies(27, (Remedy("dropout", 0.5, held[:, -1] - gain + column([0.01, -0.02, 0.01])),))
    [words_] = [e.caption for e in sound({Overfitting: before, Remedies: remedies}) if e.id == "figure-regularization"]
    assert words in words_


@given(
    st.lists(st.tuples(TEXT, st.lists(st.lists(SECONDS, min_size=1, max_size=4), min_size=1, max_size=3)), max_size=4)
)
def test_any_padding_can_be_drawn(given_: list[tuple[str, list[list[float]]]]) -> None:
    layers = tuple(
        PaddedLayer(name, 0.5, Timed(97, 97, tuple(times[0])), tuple(Timed(104, 104, tuple(t)) for t in times[1:]))
        for name, times in given_
    )
    assert bool(sound({Padding: Padding(layers, 1.0)})) == bool(layers)


@given(SECONDS, SECONDS, SECONDS, SECONDS, st.booleans())
def test_any_step_can_be_drawn(wait: float, forward: float, backward: float, rest: float, clean: bool) -> None:
    [made] = sound({StepTime: StepTime(wait, forward, backward, rest, clean)})
    assert made.section == "time"


def test_the_longest_part_of_a_step_is_named() -> None:
    assert "most of it waiting for data: 60%" in caption(StepTime(0.006, 0.001, 0.002, 0.001), "step-time")
    assert "how forward and backward share it was not timed" in caption(StepTime(0, 0, 0, 1, clean=False), "step-time")


@given(SECONDS, SECONDS)
def test_any_precision_can_be_drawn(plain: float, mixed: float) -> None:
    assert len(sound({MixedPrecision: MixedPrecision(True, False, False, plain, mixed, "bfloat16")})) == 1


@given(st.lists(ANY, max_size=30), st.integers(0, 10))
def test_any_order_can_be_drawn(values: list[float], classes: int) -> None:
    order = SampleOrder(300, "dataset", classes, 0.9, 0.1, 0.5, 20.0, False, False, sequence=column(values))
    assert bool(sound({SampleOrder: order})) == (len(values) > 1)


def test_a_shuffled_order_is_not_drawn() -> None:
    shuffled = SampleOrder(300, "dataset", 3, 0.3, 0.3, 0.0, 0.1, False, True, sequence=column([0, 1, 2]))
    assert sound({SampleOrder: shuffled}) == []


@given(st.lists(st.tuples(st.integers(0, 63), st.lists(ANY, min_size=1, max_size=64)), max_size=3))
def test_any_mixing_can_be_drawn(changes: list[tuple[int, list[float]]]) -> None:
    mixing = Mixing("Net", 64, 3, 0.5, 7, changes=tuple((sample, tuple(shares)) for sample, shares in changes))
    assert bool(sound({Dependence: Dependence((mixing,))})) == bool(changes)


def test_mixed_samples_stand_out() -> None:
    apart = Mixing("Net", 4, 1, 0.0, 0, changes=((1, (0.0, 1.0, 0.0, 0.0)),))
    mixed = Mixing("Net", 4, 1, 0.25, 3, changes=((1, (0.25, 1.0, 0.1, 0.2)),))
    [clean], [sick] = (sound({Dependence: Dependence((each,))}) for each in (apart, mixed))
    assert "as it should" in clean.caption
    assert clean.svg.count("cell flagged") == 0
    assert sick.svg.count("cell flagged") == 3
    assert "changes the outputs of 3 others of 4, by up to 0.25 of its own change" in sick.caption


def test_the_best_rate_is_drawn_beside_the_users() -> None:
    sweep = LearningRateSweep(
        "SGD",
        column([0.01, 0.1]),
        column([0.5, 2.0]),
        2.3,
        0.02,
        0.1,
        2.0,
        0.01,
        0.5,
        (0.01, 0.02),
        None,
        3,
        True,
        "high",
        (column([2.3, 1.0, 0.5]), column([2.3, 2.2, math.inf])),
    )
    words = caption(sweep, "rate-curves")
    assert words == "After 3 steps on the same batches, 0.01 has come to 0.5 and 0.1, yours, to 2."


def test_held_out_points_join_the_loss() -> None:
    at, zeros = np.arange(40), np.zeros(40)
    steps = Steps(at, np.exp(-at / 20), zeros, zeros, zeros)
    history = History(steps.loss, zeros, zeros, np.array([9, 19, 29]), column([0.7, 0.5, 0.6]))
    [made] = sound({Steps: steps, History: history})
    assert made.caption.endswith("On held-out samples it is lowest at step 19: 0.5, 0.6 at the last.")
    assert 'data-name="held out"' in made.svg
