"""What happens to gradients between backward and step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class Clipping:
    """Calls of ``clip_grad_norm_``: ``norm`` [n] before each of them, and its ``limit`` [n]."""

    norm: NDArray[np.float64]
    limit: NDArray[np.float64]
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Accumulation:
    """Steps of the first optimizer that more than one backward pass led to.

    ``steps``: how many; ``backwards``: passes per step, median. ``averageable``: steps whose passes all began at the
    same mean loss, undivided, on as many batches; ``rescaled``: of these, steps before which the gradients were
    changed (divided or clipped). ``location``: the loss.
    """

    steps: int
    backwards: int
    averageable: int
    rescaled: int
    location: Location | None = None
