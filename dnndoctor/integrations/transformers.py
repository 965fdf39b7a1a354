"""Transformers: ``Trainer(..., callbacks=[FlightRecorder()])`` records a training, and reports at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from transformers import TrainerCallback

from dnndoctor.integrations.following import Following, Options

if TYPE_CHECKING:
    from dnndoctor.api import Checked


class FlightRecorder(TrainerCallback):
    """Records every ``train()`` with the metrics of its evaluations; on each rank one recording, on the first a report.

    Options as of ``integrations.following.Options``.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        self._following = Following(options)

    @property
    def diagnosis(self) -> Checked | None:
        """Of the training that ended last."""
        return self._following.diagnosis

    def close(self) -> None:
        """End the recording, and report; for a notebook that goes on after an exception."""
        self._following.end()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The model and the optimizer are prepared."""
        compiled = getattr(args, "torch_compile", False)  # what is handed over is then inside of what runs
        model = None if compiled else kwargs.get("model")
        self._following.begin(model, kwargs.get("optimizer"))

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
        """``eval_loss`` and what ``compute_metrics`` gave; times and counts are of no use here."""
        timing = ("_runtime", "_per_second", "_time")
        self._following.log(
            {name: value for name, value in (metrics or {}).items() if name != "epoch" and not name.endswith(timing)}
        )

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After the last step, save and evaluation."""
        self._following.end()
