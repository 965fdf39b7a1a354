"""What a loss is fed, written out."""

from __future__ import annotations

from typing import Any

from dnndoctor.findings import Location
from dnndoctor.measurements import Fed, LossInput, LossInputs, SoftmaxUse

CALL, BUILT = Location("train.py", 40, 12), Location("train.py", 20, 13)


def chain(*names: str, line: int = 20) -> tuple[Fed, ...]:
    """Operations, nearest to the loss first, on lines of their own."""
    return tuple(Fed(name, Location("train.py", line - at), "head") for at, name in enumerate(names, 1))


def fed(function: str, shape: tuple[int, ...], of_target: tuple[int, ...] | None = None, **facts: Any) -> LossInput:
    """One place of a loss; the target has the shape of the input if none is given."""
    return LossInput(function, CALL, shape, shape if of_target is None else of_target, built=BUILT, **facts)


def inputs(*losses: LossInput, batch_size: int = 32, **facts: Any) -> LossInputs:
    """All places."""
    return LossInputs(losses, batch_size=batch_size, **facts)


def softmax(axis: int, shape: tuple[int, ...], function: str = "softmax", chosen: bool = True) -> SoftmaxUse:
    """A softmax on line 19."""
    return SoftmaxUse(function, Location("train.py", 19), "head", axis, shape, chosen)
