"""Outputs of activation functions, watched over the first steps; modules and functional calls alike."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Location


class ActivationStatistics(NamedTuple):
    """One watched step of one activation, from a sample of its output.

    ``unit_std``: standard deviation across samples of one unit, median over units. ``max_abs`` is exact.
    ``zero_share``: exact zeros among the entries. ``saturated_share``: entries whose local slope is under 5 %
    of the function's largest (bounded functions only, else 0). ``dead_share``: units that were never active
    in any of the last ``pooled`` samples, this step's included, for functions with an exact zero side.
    ``bins``: the histogram as JSON text, which only drawings read.

    A tuple, and no dataclass, as deep models watched for long have hundreds of thousands.
    """

    step: int
    mean: float
    std: float
    unit_std: float
    max_abs: float
    zero_share: float = 0.0
    saturated_share: float = 0.0
    dead_share: float = 0.0
    pooled: int = 0
    low: float = 0.0
    high: float = 1.0
    bins: str = "[]"

    @property
    def histogram(self) -> NDArray[np.int64]:
        """Counts in 32 equal bins between ``low`` and ``high``; empty where none were kept."""
        return np.asarray(json.loads(self.bins), np.int64)


@dataclass(frozen=True, slots=True)
class Activation:
    """One place where an activation function is applied.

    ``function`` is "relu", "sigmoid", "tanh", "softmax", "gelu", ...; ``layer`` the weighted layer that feeds
    it, if one does. ``role``: "hidden"; "gate" where its output multiplies another signal (LSTM, GLU,
    squeeze-excite, attention); "output" where it goes to the loss with no further layer.
    ``units`` is the size of its channel or feature dimension. ``dropped``: a dropout acted before it.
    """

    name: str
    function: str
    location: Location | None
    role: str
    units: int
    layer: str | None = None
    history: tuple[ActivationStatistics, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Activations:
    """All activations of the model in forward order.

    ``input_unit_std`` is the across-sample standard deviation (median over features) of the model's own
    floating-point input at the first step, None where it has none.
    ``family`` of architecture facts that some guards need: ``transformer`` if attention was seen.
    """

    sites: tuple[Activation, ...]
    input_unit_std: float | None = None
    transformer: bool = False

    def hidden(self, *functions: str) -> tuple[Activation, ...]:
        """Hidden activations, of these functions if any are named, with at least one watched step."""
        return tuple(
            each
            for each in self.sites
            if each.role == "hidden" and each.history and (not functions or each.function in functions)
        )
