"""Samples say of a tensor what the whole of it would."""

from __future__ import annotations

from math import gcd

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dnndoctor.observe import sampling


@given(st.integers(1, 10**6), st.integers(1, 4096), st.lists(st.integers(1, 512), max_size=3))
def test_strides_are_odd_and_share_no_factor(size: int, count: int, dimensions: list[int]) -> None:
    stride = sampling.stride_for(size, count, *dimensions)
    assert stride == 1 or (stride % 2 == 1 and all(gcd(stride, each) == 1 for each in dimensions if each > 1))


@given(st.tuples(st.integers(1, 40), st.integers(1, 70), st.integers(1, 20), st.integers(1, 20)), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_sample_is_rows_of_units(shape: tuple[int, ...], channels_second: bool) -> None:
    tensor = torch.arange(float(np.prod(shape))).reshape(shape)
    sample = sampling.unit_sample(tensor, channels_second)
    assert sample.dim() == 2
    assert 1 <= sample.shape[1] <= 2 * sampling.UNITS
    assert sample.numel() <= 4 * sampling.ELEMENTS
    assert torch.isin(sample, tensor).all()


def test_a_feature_map_s_deviation_is_not_aliased() -> None:
    torch.manual_seed(0)
    maps = torch.randn(32, 64, 32, 32) * torch.arange(1.0, 65.0)[None, :, None, None]
    maps = maps + torch.sin(torch.arange(32.0))[None, None, None, :] * 20
    sample = sampling.unit_sample(maps, channels_second=True).numpy()
    assert abs(sampling.moments(sample)["std"] / float(maps.std()) - 1) < 0.1  # an even stride is 24 to 38 % off


def test_deviation_across_samples_is_not_that_of_all_entries() -> None:
    biases = np.linspace(-5, 5, 64, dtype=np.float32)
    sample = np.tile(biases, (100, 1)) + np.random.default_rng(0).normal(0, 0.01, (100, 64)).astype(np.float32)
    found = sampling.moments(sample)
    assert found["std"] > 2
    assert 0.008 < found["unit_std"] < 0.012


@given(st.lists(st.floats(width=32), min_size=1, max_size=50))
def test_a_histogram_counts_what_is_finite(values: list[float]) -> None:
    sample = np.asarray(values, np.float32)
    counts, low, high = sampling.histogram(sample)
    assert counts.sum() == np.isfinite(sample).sum()
    assert high > low
