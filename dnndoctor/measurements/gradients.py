"""Gradients and updates of the parameters over the watched steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ParameterGradient:
    """One parameter's gradient at the optimizer's step border, before clipping by norm is known of.

    ``steps`` [n]: the watched steps. ``rms`` [n]: root mean square of the whole gradient; nan where it was None.
    ``ratio`` [n]: update-to-weight ratio, norm of the change over norm of the weight, from a sample of both;
    nan where not measured.
    """

    name: str
    steps: NDArray[np.int64]
    rms: NDArray[np.float64]
    ratio: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gradients:
    """``by_parameter`` in forward order; ``norm`` [n]: the global gradient norm at each of ``steps`` [n].

    ``clipped``: gradient clipping was called in the loop. ``scaled``: a GradScaler is in use.
    """

    by_parameter: tuple[ParameterGradient, ...]
    steps: NDArray[np.int64]
    norm: NDArray[np.float64]
    clipped: bool = False
    scaled: bool = False

    def of(self, name: str) -> ParameterGradient | None:
        """The gradient of the parameter of that name, or None."""
        return next((each for each in self.by_parameter if each.name == name), None)
