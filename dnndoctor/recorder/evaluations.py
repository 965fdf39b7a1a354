"""The loss of evaluations that the program makes between steps: seen at its criterion, where that is a module."""

from __future__ import annotations

import torch

from dnndoctor.recorder.losses import Value

FIRST = "loss of evaluation"
ON_TRAINING_DATA = "loss of evaluation on training data"
Evaluated = tuple[int, float, str, list[Value]]  # step, moment, name and the losses of batches


class Evaluations:
    """Gathers the losses of batches by step and by the data that they are of.

    ``data``: the number of the data set that the last batch came from, or None.
    """

    def __init__(self) -> None:
        self.data: int | None = None
        self.evaluating = False  # a model that is trained was called last in evaluation mode, without gradients
        self._trained_on: set[int] = set()
        self._names: dict[int | None, str] = {}
        self._found: dict[tuple[int, str], tuple[float, list[Value]]] = {}

    def trained(self) -> None:
        """The model is called for a step, on the data of the last batch."""
        self.evaluating = False
        if self.data is not None:
            self._trained_on.add(self.data)

    def take(self, step: int, moment: float, loss: torch.Tensor) -> None:
        """The criterion gave this for a batch of an evaluation before this step, [] or [1]."""
        value: Value = float(loss.item()) if loss.device.type == "cpu" else loss.detach()
        self._found.setdefault((step, self._name()), (moment, []))[1].append(value)

    def _name(self) -> str:
        if self.data in self._trained_on:
            return ON_TRAINING_DATA
        number = len(self._names) + 1
        return self._names.setdefault(
            self.data, "loss of evaluation" if number == 1 else f"loss of evaluation {number}"
        )

    def ended(self) -> list[Evaluated]:
        """What was evaluated since this was called last."""
        found = [(step, moment, name, values) for (step, name), (moment, values) in self._found.items()]
        self._found = {}
        return found

    @staticmethod
    def role(name: str) -> str:
        """As of ``Store.series``: the data that was evaluated first, and is not trained on, is the validation's."""
        return "validation loss" if name == FIRST else "other"
