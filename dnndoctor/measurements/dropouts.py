"""Dropouts that a model's mode does not reach."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class LooseDropout:
    """A line in a forward pass with a dropout that is always on.

    ``function`` is "dropout", "dropout2d", ...; ``p`` its rate; ``holder`` the path or class of the module whose
    forward it is. ``layer``: it is a layer that the pass builds, else a call without the argument ``training``.
    ``training`` and ``evaluation`` count its calls: with gradients or in training mode, and those of an evaluation.
    """

    function: str
    p: float
    holder: str
    location: Location | None
    layer: bool = False
    training: int = 0
    evaluation: int = 0


@dataclass(frozen=True, slots=True)
class LooseDropouts:
    """All of them in the order of their first call."""

    lines: tuple[LooseDropout, ...] = ()
