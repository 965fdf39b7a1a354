"""The size of each layer's output, and of the loss gradient there, over the watched steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Signal:
    """One layer's output before its activation.

    ``steps`` [n]: the sampled steps. ``unit_std`` [n]: std across samples of one unit, the median unit's.
    ``largest`` [n]: the largest magnitude, inf where a value was not finite. ``positions``: places that a unit is
    computed at per sample, 1 for a plain linear layer, height x width for a convolution. ``grad_norm``: at the first
    step, the root mean square over units and samples of the norm over positions of the loss gradient at its output;
    nan where it was not seen.
    """

    layer: str
    steps: NDArray[np.int64]
    unit_std: NDArray[np.float64]
    largest: NDArray[np.float64]
    positions: int = 1
    grad_norm: float = float("nan")


@dataclass(frozen=True, slots=True)
class Signals:
    """All linear layers and convolutions in the order of their first use."""

    layers: tuple[Signal, ...]

    def of(self, name: str) -> Signal | None:
        """The signal of the layer of that name, or None."""
        return next((each for each in self.layers if each.layer == name), None)
