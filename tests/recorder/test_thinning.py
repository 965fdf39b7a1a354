"""What is left of a long series still tells what happened in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dnndoctor.recorder.thinning import FACTOR, thinned
from dnndoctor.recording.points import STEP, VALUE


def _points(value: np.ndarray) -> np.ndarray:
    step = np.arange(len(value), dtype=np.float64)
    return np.stack([step, value, step / 10], axis=1)


def test_one_of_four_is_kept_of_what_is_noise() -> None:
    value = np.random.default_rng(0).standard_normal(4096)
    kept = thinned(_points(value))
    assert 4096 / FACTOR <= len(kept) <= 1.1 * 4096 / FACTOR
    assert kept[:, VALUE].std() == pytest.approx(value.std(), rel=0.05)


@pytest.mark.parametrize("at", [1, 777, 4094])
@pytest.mark.parametrize("height", [30.0, -30.0])
def test_a_spike_survives_again_and_again(at: int, height: float) -> None:
    value = np.random.default_rng(1).standard_normal(4096)
    value[at] = height
    points = _points(value)
    for _ in range(4):
        points = thinned(points)
    assert at in points[:, STEP]
    assert len(points) < 4096 / 32


def test_where_values_cease_to_be_finite_is_kept_to_the_step() -> None:
    value = np.linspace(2.0, 1.0, 4000)
    value[1001:1003] = np.nan
    value[3001:] = np.inf
    points = _points(value)
    for _ in range(3):
        points = thinned(points)
    finite = dict(zip(points[:, STEP].tolist(), np.isfinite(points[:, VALUE]).tolist(), strict=True))
    assert [finite[each] for each in (1000, 1001, 1002, 1003, 3000, 3001)] == [True, False, False, True, True, False]


def test_many_gaps_still_leave_fewer_points() -> None:
    value = np.ones(4096)
    value[::3] = np.nan
    assert len(thinned(_points(value))) <= 4096 / 2


def test_a_schedule_keeps_its_corners() -> None:
    value = np.repeat([0.1, 0.01, 0.001], 1000)
    kept = thinned(_points(value))
    for low, high in ((997, 1003), (1997, 2003)):
        assert ((kept[:, STEP] >= low) & (kept[:, STEP] <= high)).sum() >= 2
    assert len(kept) <= 3000 / 2


@given(arrays(np.float64, st.integers(1, 300), elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_first_point_order_and_extremes_stay(value: np.ndarray) -> None:
    points = _points(value)
    with np.errstate(all="ignore"):
        kept = thinned(points)
    assert kept[0, STEP] == 0
    assert (np.diff(kept[:, STEP]) > 0).all()
    finite = value[np.isfinite(value)]
    if len(finite):
        assert np.nanmax(np.where(np.isfinite(kept[:, VALUE]), kept[:, VALUE], -np.inf)) == finite.max()
        assert np.nanmin(np.where(np.isfinite(kept[:, VALUE]), kept[:, VALUE], np.inf)) == finite.min()
    assert len(kept) <= max(len(value) / 2 + 8, 8)
