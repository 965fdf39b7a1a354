"""What the sinks have in common: which of the recorded figures are sent on, and that a tracker's trouble stays its own.

A sink follows a recorder: ``watch(model, optimizer, listeners=[TensorBoardSink("runs/a")])``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnndoctor.api import Checked
    from dnndoctor.recorder.step import StepRecord

FIGURES = ("loss", "learning_rate", "grad_norm", "data_seconds", "compute_seconds")


class Sink:
    """Sends recorded figures on. A tracker that fails is told of once, and nothing more is sent to it.

    ``seconds``: no more than one step in that time is sent, so that a sink's cost stays small beside the recorder's;
    the recording has them all. ``layer_seconds``: the same for each figure of a layer or a parameter.
    """

    def __init__(self, *, seconds: float = 1.0, layer_seconds: float = 10.0, prefix: str = "dnndoctor") -> None:
        self._seconds, self._layer_seconds, self._prefix = seconds, layer_seconds, prefix
        self._next = -math.inf
        self._due: dict[str, float] = {}
        self._last: StepRecord | None = None  # that was not sent
        self._failed = False

    def send(self, step: int, figures: Mapping[str, float]) -> None:
        """To the tracker; the only method that each of them needs."""
        raise NotImplementedError

    def flush(self) -> None:
        """What was sent is to arrive."""

    def show(self, found: Checked) -> None:
        """Show the diagnosis beside the figures."""

    def began(self, step: int, inputs: tuple[Any, ...]) -> None:
        """Of no interest here."""

    def stepped(self, record: StepRecord) -> None:
        """Send it, if it is time."""
        if record.time < self._next:
            self._last = record
            return
        self._next, self._last = record.time + self._seconds, None
        self._send_step(record)

    def measured(self, step: int, time: float, figures: Mapping[str, float]) -> None:
        """Figures of layers and parameters, such as ``{"gradient of net.0.weight": 0.01}``."""
        due = {name: value for name, value in figures.items() if self._due.get(name, -math.inf) <= time}
        if not due:
            return
        self._due |= dict.fromkeys(due, time + self._layer_seconds)
        named = {f"{self._prefix}/{name.replace(' of ', '/', 1)}": value for name, value in due.items()}
        self._try(lambda: self.send(step, named))

    def closed(self, outcome: str, error: BaseException | None) -> None:
        """The last step is sent in any case."""
        if self._last is not None:
            self._send_step(self._last)
            self._last = None
        self._try(self.flush)

    def reported(self, found: Checked) -> None:
        """The training is over, and this is its diagnosis."""
        self._try(lambda: self.show(found))

    def _send_step(self, record: StepRecord) -> None:
        known = {f"{self._prefix}/{name}": getattr(record, name) for name in FIGURES}
        measured = {name: value for name, value in known.items() if value == value or name.endswith("/loss")}
        self._try(lambda: self.send(record.step, measured))

    def _try(self, call: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            call()
        except Exception as why:  # noqa: BLE001 - a tracker's trouble must not end the training, nor its recording
            self._failed = True
            text = " ".join(f"{type(why).__name__}: {why}".split())
            print(f"dnndoctor: {type(self).__name__} gives up ({text[:200]})", file=sys.stderr, flush=True)
