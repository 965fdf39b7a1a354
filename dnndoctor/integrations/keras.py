"""Keras 3 on its torch backend: ``model.fit(..., callbacks=[FlightRecorder()])`` records it, and reports at its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

import keras
import torch

from dnndoctor.integrations.following import Following, Options

if TYPE_CHECKING:
    from dnndoctor.api import Checked


class FlightRecorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Records every ``fit`` with its validation metrics.

    Options as of ``integrations.following.Options``. Raises RuntimeError on another backend.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__()
        if keras.backend.backend() != "torch":
            raise RuntimeError(
                f"dnndoctor needs Keras' torch backend, not {keras.backend.backend()}: KERAS_BACKEND=torch"
            )
        self._following = Following(options)
        self._undo: Callable[[], None] | None = None

    @property
    def diagnosis(self) -> Checked | None:
        """Of the fit that ended last."""
        return self._following.diagnosis

    def on_train_begin(self, logs: Any = None) -> None:
        """The model is compiled, and its optimizer known."""
        self._restore()
        border, self._undo = _bordered(self.model)
        self._following.begin(self.model, border)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """``val_loss`` and the metrics."""
        self._following.log(logs or {})

    def on_train_end(self, logs: Any = None) -> None:
        """After the last epoch."""
        self._restore()
        self._following.end()

    def _restore(self) -> None:
        if self._undo is not None:
            self._undo()
            self._undo = None


class _Border(torch.optim.Optimizer):
    """An optimizer of Keras' as one of torch's, so that its steps are heard as theirs are: a step is ``apply``."""

    def __init__(self, parameters: list[torch.Tensor], keras_optimizer: Any, apply: Callable[..., Any]) -> None:
        super().__init__(parameters, {"lr": 0.0})
        self._keras, self._apply = keras_optimizer, apply
        self._arguments: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

    def applied(self, *args: Any, **kwargs: Any) -> None:
        """In place of ``apply``."""
        self._arguments = (args, kwargs)
        for group in self.param_groups:
            group["lr"] = float(self._keras.learning_rate)
        try:
            self.step()
        finally:
            self._arguments = ((), {})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Keras' own step."""
        args, kwargs = self._arguments
        self._apply(*args, **kwargs)


def _bordered(model: Any) -> tuple[torch.optim.Optimizer, Callable[[], None]]:
    """The model's optimizer with borders that are heard, and what takes them away again."""
    optimizer = model.optimizer
    apply = optimizer.apply
    kind = type(type(optimizer).__name__, (_Border,), {})  # reports name it as the user does
    border = kind([each.value for each in model.trainable_variables], optimizer, apply)
    optimizer.apply = border.applied

    def undo() -> None:
        if "apply" in vars(optimizer):
            del optimizer.apply

    return border, undo
