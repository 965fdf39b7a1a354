"""How sharp attention is over the watched steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class AttentionSite:
    """One attention, from a few samples, heads and queries of the sampled ``steps`` [n].

    ``largest`` [n]: largest magnitude of a logit that is not masked, after scaling. ``entropy`` [n]: mean entropy of
    the weights, as a share of that of equal weights: 1 is a plain mean, 0 a single position.
    """

    name: str
    location: Location | None
    steps: NDArray[np.int64]
    largest: NDArray[np.float64]
    entropy: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Attention:
    """All of them in the order of their first use."""

    sites: tuple[AttentionSite, ...]
