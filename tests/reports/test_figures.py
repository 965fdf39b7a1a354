import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnndoctor.measurements import (
    Activation,
    Activations,
    ActivationStatistics,
    BatchSweep,
    Gradients,
    Layer,
    Layers,
    LearningRateSweep,
    Missing,
    Parameter,
    ParameterGradient,
    Steps,
    Weights,
)
from dnndoctor.reports.html.figures import figures
from dnndoctor.reports.html.figures.chart import MOST_ROWS, Scale, chosen, runs
from dnndoctor.reports.html.figures.initialization import target_std
from tests.reports.drawings import sound

ANY = st.floats(allow_nan=True, allow_infinity=True)
LISTS = st.lists(ANY, max_size=12)
TEXT = st.text(max_size=40)


@given(LISTS, st.booleans(), ANY)
def test_a_scale_never_leaves_its_pixels(values: list[float], log: bool, probe: float) -> None:
    scale = Scale.fit(values, 300, 20, log=log)
    for value in (*values, probe, *scale.ticks()):
        assert 20 <= scale(value) <= 300
    assert 1 <= len(scale.ticks()) <= 8


@given(st.lists(st.floats(1e-12, 1e12), min_size=2, max_size=9, unique=True), st.booleans())
def test_a_scale_keeps_the_order(values: list[float], log: bool) -> None:
    scale = Scale.fit(values, 0, 1000, log=log)
    assert [scale(each) for each in sorted(values)] == sorted(scale(each) for each in values)


def test_ticks_are_round() -> None:
    assert Scale.fit([0.0, 1.0], 0, 100, pad=0).ticks() == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert Scale.fit([1e-4, 1.0], 0, 100, log=True).ticks() == [1e-4, 1e-3, 1e-2, 1e-1, 1]


def test_a_line_is_not_led_across_a_gap() -> None:
    assert runs([1, 2, 3, 4], [1.0, math.nan, 2.0, 3.0]) == [[(1, 1)], [(3, 2), (4, 3)]]
    assert runs([1, 2], [0.0, 5.0], log=True) == [[(2, 5)]]


@given(st.integers(0, 500), st.sets(st.integers(0, 499), max_size=60))
def test_so_many_rows_as_can_be_read(count: int, keep: set[int]) -> None:
    kept = [each for each in keep if each < count]
    drawn = chosen(count, kept)
    assert len(drawn) <= MOST_ROWS
    assert drawn == sorted(set(drawn))
    assert all(0 <= each < count for each in drawn)
    if count:
        assert {0, count - 1} <= set(drawn)


@given(st.lists(st.tuples(ANY, ANY), max_size=8), ANY, ANY, ANY, st.one_of(st.none(), ANY))
def test_any_rate_sweep_can_be_drawn(
    trials: list[tuple[float, float]], rate: float, score: float, start: float, edge: float | None
) -> None:
    rates, scores = (np.array([each[i] for each in trials], dtype=np.float64) for i in (0, 1))
    sweep = LearningRateSweep(
        "SGD", rates, scores, start, 0.1, rate, score, 0.1, score, (rate, score), edge, 20, True, "high"
    )
    assert len(sound({LearningRateSweep: sweep})) == bool(trials)


@given(st.lists(st.tuples(st.integers(1, 10**9), ANY, ANY, ANY), max_size=8), st.integers(1, 10**9))
def test_any_batch_sweep_can_be_drawn(trials: list[tuple[int, float, float, float]], size: int) -> None:
    columns = [np.array([each[i] for each in trials], dtype=np.float64) for i in (1, 2, 3)]
    sizes = np.array([each[0] for each in trials], dtype=np.int64)
    sweep = BatchSweep(sizes, columns[0], columns[1], columns[2], size, (size, size * 2), "knee")
    assert len(sound({BatchSweep: sweep})) == bool(trials)


@given(LISTS)
def test_any_losses_can_be_drawn(losses: list[float]) -> None:
    at, zeros = np.arange(len(losses)), np.zeros(len(losses))
    assert len(sound({Steps: Steps(at, np.array(losses, dtype=np.float64), zeros, zeros, zeros)})) == bool(losses)


@given(st.lists(st.tuples(TEXT, LISTS), max_size=5))
def test_any_gradients_can_be_drawn(given_: list[tuple[str, list[float]]]) -> None:
    each = tuple(
        ParameterGradient(name, np.arange(len(v)), np.array(v, dtype=np.float64), np.array(v, dtype=np.float64))
        for name, v in given_
    )
    sound({Gradients: Gradients(each, np.arange(0), np.zeros(0))})


@given(st.lists(st.tuples(TEXT, ANY, st.sampled_from(["relu", "tanh", "sigmoid", None])), max_size=6))
def test_any_weights_can_be_drawn(given_: list[tuple[str, float, str | None]]) -> None:
    layers = tuple(Layer(n, "linear", n, None, 1, 1, 1, 1, activation) for n, _, activation in given_)
    weights = tuple(Parameter(n, n, "Linear", (1, 1), "weight", 1, 1, True, std=std) for n, std, _ in given_)
    sound({Layers: Layers("Net", layers), Weights: Weights(weights)})


@given(st.lists(st.tuples(TEXT, ANY, ANY, ANY, ANY), max_size=6))
def test_any_activations_can_be_drawn(given_: list[tuple[str, float, float, float, float]]) -> None:
    sites = tuple(
        Activation(n, "relu", None, "hidden", 1, None, (ActivationStatistics(0, m, s, 1, 1, 0, sat, dead),))
        for n, m, s, sat, dead in given_
    )
    assert len(sound({Activations: Activations(sites)})) == bool(sites)


def test_what_is_missing_is_not_drawn() -> None:
    missing = Missing("no time was left")
    kinds = (LearningRateSweep, BatchSweep, Steps, Gradients, Weights, Layers, Activations)
    assert figures({}) == figures(dict.fromkeys(kinds, missing)) == ()


@pytest.mark.parametrize(
    ("activation", "target"),
    [("tanh", 0.1), ("sigmoid", 0.4), ("relu", 1 / math.sqrt(50)), (None, 0.1)],
)
def test_the_target_follows_the_activation(activation: str | None, target: float) -> None:
    assert target_std(Layer("a", "linear", "w", None, 100, 100, 100, 100, activation)) == pytest.approx(target)


def test_a_caption_states_the_verdict(sick: Any) -> None:
    captions = {each.id: each.caption for each in figures(sick.measurements)}
    assert captions["figure-initialization"] == "Furthest off: layers.0, 6.1, is 12 times above its target of 0.5."
    assert "Training diverges from 1 on." in captions["figure-learning-rate"]
    assert captions["figure-throughput"].endswith("33,000 samples/s, 6.3 times as many.")
