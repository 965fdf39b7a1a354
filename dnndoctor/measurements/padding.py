"""What rounding the sizes of heavy layers up would bring, timed on the machine at hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Timed:
    """One layer at one pair of sizes: features or channels in and out; seconds of one forward and backward pass."""

    inputs: int
    outputs: int
    seconds: tuple[float, ...]

    @property
    def typical(self) -> float:
        """Median seconds."""
        return float(np.median(self.seconds))


@dataclass(frozen=True, slots=True)
class PaddedLayer:
    """A layer as it is and with sizes rounded up; ``share`` is its part of the multiply-adds."""

    layer: str
    share: float
    own: Timed
    padded: tuple[Timed, ...]

    @property
    def best(self) -> Timed | None:
        """The fastest of those whose slowest run beats the own sizes' fastest: faster beyond the spread."""
        sure = [each for each in self.padded if max(each.seconds) < min(self.own.seconds)]
        return min(sure, key=lambda each: each.typical, default=None)


@dataclass(frozen=True, slots=True)
class Padding:
    """The heavy layers with odd sizes that were timed; ``step_seconds``: of one step of the user's loop."""

    layers: tuple[PaddedLayer, ...]
    step_seconds: float

    def gain(self, layer: PaddedLayer) -> float:
        """How many times as fast the layer is at its best padded sizes; 1 where none is surely faster."""
        return layer.own.typical / layer.best.typical if layer.best else 1.0

    @property
    def step_gain(self) -> float:
        """How many times as fast a whole step would be with all of them padded."""
        saved = sum(each.own.typical - each.best.typical for each in self.layers if each.best)
        left = self.step_seconds - saved
        return self.step_seconds / left if left > 0 else 1.0
