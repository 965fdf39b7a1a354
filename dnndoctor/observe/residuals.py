"""Losses that are written out: a prediction less a target, squared or made absolute, and averaged or summed up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import ref

import torch

from dnndoctor.findings import Location
from dnndoctor.observe.source import caller

SQUARES = frozenset(("pow", "square", "mul"))
ENDS = frozenset(("mean", "sum"))
MOST_PLACES = 24
MOST_FOLLOWED = 256  # of one step

Pair = tuple[torch.Tensor, torch.Tensor]


@dataclass
class Residual:
    """One difference of a step; ``pair``: samples of prediction and target, copied, where shapes agree."""

    location: Location | None
    prediction_shape: tuple[int, ...]
    target_shape: tuple[int, ...]
    result: tuple[int, ...]
    pair: Pair | None
    target_is_input: bool
    from_integers: bool
    function: str = ""
    side: int = 0  # of the difference that the prediction stands on

    @property
    def broadcast(self) -> bool:
        """Both were spread out to more entries than either has, and not on purpose: their dimensions differ."""
        sizes = [torch.Size(each).numel() for each in (self.prediction_shape, self.target_shape, self.result)]
        return len(self.prediction_shape) != len(self.target_shape) and sizes[2] > max(sizes[:2])


class Residuals:
    """Follows differences through a step; ``done`` is told of those that became a loss."""

    def __init__(self, take: Callable[[torch.Tensor, torch.Tensor], Any], done: Callable[[Residual], None]) -> None:
        self._take = take
        self._done = done
        self._followed: dict[int, tuple[ref[torch.Tensor], Residual]] = {}

    def forget(self) -> None:
        """A step is over."""
        self._followed.clear()

    @property
    def any(self) -> bool:
        """Whether there is something to follow."""
        return bool(self._followed)

    def subtracted(self, args: tuple[Any, ...], result: torch.Tensor) -> None:
        """``args[0] - args[1]`` was computed."""
        if len(args) < 2 or not all(isinstance(each, torch.Tensor) for each in args[:2]):
            return
        one, other = args[:2]
        if one.requires_grad == other.requires_grad or len(self._followed) >= MOST_FOLLOWED:
            return
        prediction, target = (one, other) if one.requires_grad else (other, one)
        shapes = (tuple(prediction.shape), tuple(target.shape))
        if shapes[0] != shapes[1] and prediction.dim() == target.dim():
            return
        pair, is_input, integers = self._take(prediction, target) if shapes[0] == shapes[1] else (None, False, False)
        side = 0 if prediction is one else 1
        found = Residual(caller(), *shapes, tuple(result.shape), pair, is_input, integers, side=side)
        self._followed[id(result)] = (ref(result), found)

    def follow(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: torch.Tensor) -> None:
        """Another operation may go on from a difference."""
        source = args[0] if args else None
        held = self._followed.get(id(source))
        if held is None or held[0]() is not source:
            return
        found = held[1]
        if name in SQUARES and not found.function:
            own = name != "mul" or (len(args) > 1 and args[1] is source)
            found.function = "mse_loss" if own else ""
        elif name == "abs" and not found.function:
            found.function = "l1_loss"
        elif name in ENDS and found.function and len(args) == 1 and not kwargs:
            self._done(found)
            return
        self._followed[id(result)] = (ref(result), found)
