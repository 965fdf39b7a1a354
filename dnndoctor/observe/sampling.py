"""Small samples of large tensors, taken where the tensor lives, and their statistics.

A stride coprime to the dimensions: an even one aliases with feature maps and puts the standard deviation off by
a quarter. Temporaries stay small, since they are what statistics cost.
"""

from __future__ import annotations

from math import gcd

import numpy as np
import torch
from numpy.typing import NDArray

ELEMENTS = 8192
UNITS = 256
BINS = 32


def stride_for(size: int, count: int, *avoid: int) -> int:
    """An odd stride that takes about ``count`` of ``size`` entries and shares no factor with ``avoid``."""
    stride = max(size // count, 1) | 1
    while any(each > 1 and gcd(stride, each) > 1 for each in avoid) and stride > 1:
        stride += 2
    return stride if size > count else 1


def flat_sample(tensor: torch.Tensor, count: int = ELEMENTS) -> torch.Tensor:
    """About ``count`` entries, one-dimensional, on the tensor's device."""
    flat = tensor.detach().reshape(-1) if tensor.is_contiguous() else tensor.detach().flatten()
    return flat[:: stride_for(flat.numel(), count, *tensor.shape)]


def unit_sample(tensor: torch.Tensor, channels_second: bool) -> torch.Tensor:
    """A [rows, units] view or copy: rows are samples and positions, units are channels or features.

    ``channels_second``: [batch, channels, ...] as convolutions have it, else the units come last.
    """
    tensor = tensor.detach()
    if tensor.dim() == 0:
        return tensor.reshape(1, 1)
    if tensor.dim() == 1:
        return tensor.reshape(-1, 1)[:ELEMENTS]
    if tensor.dim() == 2:
        rows = tensor
    elif channels_second:
        rows = _rows_of_positions(tensor)
    else:
        rows = tensor.reshape(-1, tensor.shape[-1])
    units = rows.shape[1]
    rows = rows[:, :: stride_for(units, UNITS)]
    take = max(ELEMENTS // max(rows.shape[1], 1), 16)
    return rows[:: stride_for(rows.shape[0], take, *tensor.shape[2:])]


def _rows_of_positions(tensor: torch.Tensor) -> torch.Tensor:
    """[batch, channels, ...] to [batch * some positions, channels], without touching all of a large tensor."""
    batch, channels = tensor.shape[:2]
    flat = tensor.reshape(batch, channels, -1)
    positions = max(ELEMENTS // max(batch * min(channels, UNITS), 1), 2)
    some = flat[:, :, :: stride_for(flat.shape[2], positions, *tensor.shape[2:])]
    return some.permute(0, 2, 1).reshape(-1, channels)


def largest(tensor: torch.Tensor) -> torch.Tensor:
    """The largest magnitude of a tensor with entries, [] in float32; nan if one is. On a CPU the infinity norm takes
    eighteen times as long as the two ends."""
    low, high = torch.aminmax(tensor.detach())
    return torch.maximum(high, -low).float()


def moments(sample: NDArray[np.float32]) -> dict[str, float]:
    """Mean and standard deviation of all entries and the per-unit one (median over units) of a [rows, units] sample."""
    finite = np.where(np.isfinite(sample), sample, 0.0).astype(np.float64)
    unit_std = finite.std(axis=0) if len(finite) > 1 else np.full(finite.shape[1], np.nan)
    return {
        "mean": float(finite.mean()) if finite.size else 0.0,
        "std": float(finite.std()) if finite.size else 0.0,
        "unit_std": float(np.median(unit_std)) if unit_std.size else 0.0,
    }


def histogram(sample: NDArray[np.float32]) -> tuple[NDArray[np.int64], float, float]:
    """Counts in ``BINS`` equal bins, and the two ends."""
    finite = sample[np.isfinite(sample)]
    if not finite.size:
        return np.zeros(BINS, np.int64), 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if not high > low:
        high = low + max(abs(low), 1.0) * 1e-6
    counts, _ = np.histogram(finite.astype(np.float64), bins=BINS, range=(low, high))
    return counts.astype(np.int64), low, high
