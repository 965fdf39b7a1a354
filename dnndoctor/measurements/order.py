"""Facts about a loop's calls and what lives on between its steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class KeptSum:
    """A sum that keeps the graphs of what it adds up: carried on in ``steps`` steps from the line ``location``."""

    location: Location | None
    steps: int


@dataclass(frozen=True, slots=True)
class KeptGraphs:
    """Autograd graphs behind the losses, at a few steps [n]: ``nodes`` (counted up to 20000) and ``back``, the number
    of earlier steps that the graph goes back to.

    ``sums``: those on which no backward pass was called. ``carried``: the call of the model that is given a tensor of
    an earlier step with its graph, ``argument`` its position there, None where it is not known, ``form`` what it is:
    "tensor", "tuple" of tensors, or "other"; ``location``: the backward pass.
    """

    step: NDArray[np.int64]
    nodes: NDArray[np.int64]
    back: NDArray[np.int64]
    sums: tuple[KeptSum, ...] = ()
    carried: Location | None = None
    location: Location | None = None
    argument: int | None = None
    form: str = ""


@dataclass(frozen=True, slots=True)
class ClipOrder:
    """Steps with gradient clipping since the step before; ``in_vain``: of these, steps whose clipping met no gradient,
    or one that was cleared afterwards, and a backward pass followed. ``location``: such a call."""

    steps: int
    in_vain: int
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class PiledGradient:
    """Of a model that no optimizer holds any part of, the gradient's norm at a few steps [n].

    ``copy_of``: the class of a trained model, if it is this one's too. ``call``: where it is called with gradients.
    """

    model: str
    step: NDArray[np.int64]
    norm: NDArray[np.float64]
    parameters: int
    copy_of: str | None = None
    location: Location | None = None
    call: Location | None = None


@dataclass(frozen=True, slots=True)
class PiledGradients:
    """Every such model with a gradient."""

    models: tuple[PiledGradient, ...] = ()


@dataclass(frozen=True, slots=True)
class Seeds:
    """``drawn``: random streams ("torch", "numpy", "python") that moved between the script's start and its second
    step; ``seeded``: those that were given a seed or a state before."""

    drawn: tuple[str, ...]
    seeded: tuple[str, ...]
