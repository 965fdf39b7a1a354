"""The loss of evaluations between the steps: the points that a validation curve is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from dnndoctor.observe.names import operation_name
from dnndoctor.observe.source import caller
from dnndoctor.observe.transforms import readable
from dnndoctor.observe.window import Window
from dnndoctor.recording.operations import LOSSES

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch

MOST_POINTS = 500
MOST_TARGETS = 64  # of training that are told apart from those of evaluation


@dataclass
class Point:
    """The losses of one evaluation, summed up where they were computed."""

    step: int
    total: torch.Tensor
    batches: int = 1


class Evaluations(Window):
    """Losses that are computed without gradients, on other targets than those that are trained on."""

    name = "evaluations"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self.points: list[dict[str, Any]] = []
        self.location: Location | None = None
        self._open: Point | None = None
        self._trained_on: set[int] = set()

    def function(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Add up losses of an evaluation."""
        if len(self.points) >= MOST_POINTS or operation_name(func) not in LOSSES:
            return
        if not isinstance(result, torch.Tensor) or not readable(result) or result.numel() != 1:
            return
        target = args[1] if len(args) > 1 else kwargs.get("target")
        key = target.data_ptr() if isinstance(target, torch.Tensor) and readable(target) else 0
        if torch.is_grad_enabled():
            if len(self._trained_on) < MOST_TARGETS:
                self._trained_on.add(key)
        elif not self._trained_data(key):
            self._add(result.detach().reshape(()).float())

    def _trained_data(self, key: int) -> bool:
        """Whether it is trained on: a loader's batches are told by their loader, since their memory is used again."""
        current = self.watch.loaders.current
        return key in self._trained_on if current is None else current.steps > 0

    def _add(self, value: torch.Tensor) -> None:
        point = self._open
        if point is None or point.step != self.watch.step:
            self._close()
            self._open = Point(self.watch.step, value)
            self.location = self.location or caller()
            return
        point.total = point.total + value
        point.batches += 1

    def _close(self) -> None:
        point, self._open = self._open, None
        if point is not None:
            mean = float(point.total) / point.batches
            self.points.append({"step": point.step, "loss": mean if math.isfinite(mean) else None})

    def after_step(self, _optimizer: torch.optim.Optimizer) -> None:
        """An evaluation is over once training goes on."""
        if self._open is not None:
            self._close()

    def facts(self) -> dict[str, Any] | None:
        """The points, in the order of the steps."""
        if not self.watch.observing or not self.watch.deep:
            self._close()
        return {"points": self.points, "location": self.location} if self.points else None
