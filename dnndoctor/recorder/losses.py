"""The losses of all steps, also of those that are not recorded otherwise."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

Value = float | torch.Tensor


class Lost(NamedTuple):
    """What backward was called on in one step; ``moment``: its end, in seconds since the recorder began.

    ``rate``: the learning rate that it was made with, nan where that is not known.
    """

    step: int
    moment: float
    values: list[Value]
    rate: float = math.nan


class Losses:
    """Keeps them until somebody takes them: as numbers where that costs nothing, else as tensors on the device."""

    def __init__(self) -> None:
        self._now: list[Value] = []
        self._ended: list[Lost] = []
        self._counted: int | None = None
        self._unscaled: dict[int, torch.Tensor] = {}

    def take(self, tensor: Any) -> bool:
        """Backward runs on it; gives whether it is known already not to be finite."""
        if not isinstance(tensor, torch.Tensor) or tensor.numel() != 1 or self._counted is not None:
            return False
        loss: Any = self._unscaled.pop(id(tensor), tensor) if self._unscaled else tensor
        if hasattr(loss, "to_local"):  # distributed: a value of the whole would be a message to other ranks
            loss = loss.detach().to_local()
        if loss.device.type != "cpu" or loss.is_complex():
            self._now.append(loss.detach())
            return False
        value = float(loss.item())
        self._now.append(value)
        return not math.isfinite(value)

    def scaled(self, before: torch.Tensor, after: torch.Tensor) -> None:
        """A loss was scaled up against underflow."""
        self._unscaled[id(after)] = before.detach()

    def enough(self) -> None:
        """What follows within this step are trials of a closure: the step's loss is that before it."""
        if self._now:
            self._counted = len(self._now)

    def clear(self) -> None:
        """The losses until here belong to no step of the lead."""
        self._now, self._counted = [], None
        if self._unscaled:
            self._unscaled.clear()

    def end_step(self, step: int, moment: float, rate: float = math.nan) -> None:
        """The step is made, at this learning rate."""
        if self._now:
            self._ended.append(Lost(step, moment, self._now, rate))
        self.clear()

    def of_now(self) -> list[Value]:
        """The losses since the last step."""
        return list(self._now)

    def ended(self) -> list[Lost]:
        """Those of the steps since this was called last."""
        found, self._ended = self._ended, []
        return found


def mean_of(values: list[float]) -> float:
    """Of the losses of one step; nan where there was none."""
    return sum(values) / len(values) if values else math.nan
