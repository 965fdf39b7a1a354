"""The loss: which operation makes it, what it is fed, and its value before training."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class Fed:
    """An operation on the way into the loss: ``name`` ("softmax", "sigmoid", "log_softmax", "log", "clamp",
    "linear", ...), and its place; shape-only operations (view, squeeze, transpose, ...) are left out.

    ``in_model``: a module's forward calls it, and not the training loop.
    """

    name: str
    location: Location | None
    module: str = ""
    in_model: bool = False


@dataclass(frozen=True, slots=True)
class Loss:
    """One loss operation that backward reaches.

    ``function``: "cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "mse_loss", "l1_loss", "smooth_l1_loss", ... or "expression" for one written out. ``chain``: what feeds its
    first argument, nearest first, back to the nearest weighted layer and with it. ``classes``: size of the class
    dimension, None where there is none. ``value``: at the first step, before any update. ``label_entropy``:
    entropy of the watched targets in nats; ``target_mean``/``target_variance`` of float targets.
    ``best_constant``: the loss of the best constant guess on the watched targets, None where it is not known
    how to tell. ``terms``: how many losses are added. ``plain``: mean reduction, no label smoothing, no class
    weights, no ignored targets, nothing added, targets that are not soft.
    ``cosines``: vectors of unit length are compared on the way from the last layers to it.
    ``spread``: standard error of ``value`` relative to it.
    """

    function: str
    location: Location | None
    value: float
    chain: tuple[Fed, ...] = ()
    reduction: str = "mean"
    classes: int | None = None
    label_entropy: float | None = None
    target_mean: float | None = None
    target_variance: float | None = None
    best_constant: float | None = None
    terms: int = 1
    plain: bool = True
    samples: int = 0
    spread: float = 0.0
    cosines: bool = False
    output_layer: str | None = None
    output_location: Location | None = None


@dataclass(frozen=True, slots=True)
class Losses:
    """Every loss operation behind the backward of the first step; ``main`` is the first."""

    all: tuple[Loss, ...]

    @property
    def main(self) -> Loss:
        """The first."""
        return self.all[0]
