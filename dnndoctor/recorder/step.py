"""What the recorder hands on of each optimizer step, and to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of the optimizer that leads the loop; what was not measured in it is nan.

    ``step``: from 0. ``time``: seconds since the recorder began. ``loss``: the mean of what backward was called on.
    ``learning_rate``: the largest of the groups. ``grad_norm``: l2 norm over all parameters, before any clipping that
    the loop does after it. ``data_seconds``: waited for batches; ``compute_seconds``: the rest. ``batch_size``: 0 where
    it is not known.
    """

    step: int
    time: float
    loss: float
    learning_rate: float
    grad_norm: float
    data_seconds: float
    compute_seconds: float
    batch_size: int = 0


class Listener(Protocol):
    """Follows a recorder. Each method is called on the thread that trains, counts as cost, and may raise nothing."""

    def began(self, step: int, inputs: tuple[Any, ...]) -> None:
        """A step begins: ``inputs`` are the arguments of the model's first call in it."""

    def stepped(self, record: StepRecord) -> None:
        """The optimizer has made its step, and the parameters are as it left them.

        Figures that come from an accelerator may be those of a step or two before.
        """

    def closed(self, outcome: str, error: BaseException | None) -> None:
        """The end, once; ``outcome`` is "finished", "exception", "interrupted" or "stopped"."""


@runtime_checkable
class FigureListener(Listener, Protocol):
    """A listener that is told of the figures of layers and parameters as well, in the steps that have any."""

    def measured(self, step: int, time: float, figures: Mapping[str, float]) -> None:
        """Called before ``stepped``; by the name of the series, such as "gradient of net.0.weight"."""
