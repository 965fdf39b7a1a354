"""Ignite: ``FlightRecorder(model, optimizer).attach(trainer, evaluator)`` records a run, and reports at its end."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Unpack

from ignite.engine import Engine, Events

from dnndoctor.integrations.following import Following, Options

if TYPE_CHECKING:
    from dnndoctor.api import Checked


class FlightRecorder:
    """Records every run of a trainer with the metrics of its evaluators.

    ``model``, ``optimizer``: one or several; without them whatever makes steps. Options as of
    ``integrations.following.Options``.
    """

    def __init__(self, model: Any = None, optimizer: Any = None, **options: Unpack[Options]) -> None:
        self._following = Following(options)
        self._model, self._optimizer = model, optimizer

    @property
    def diagnosis(self) -> Checked | None:
        """Of the run that ended last."""
        return self._following.diagnosis

    def close(self) -> None:
        """End the recording, and report; for a notebook that goes on after an exception."""
        self._following.end()

    def attach(self, trainer: Engine, evaluator: Engine | None = None, **evaluators: Engine) -> FlightRecorder:
        """Follow this trainer. Metrics of ``evaluator`` are held to be of validation data; of others by their names
        here, such as ``validation=..., training=...``.
        """  # fmt: skip
        trainer.add_event_handler(Events.STARTED, self._begin)
        named = evaluators if evaluator is None else {"validation": evaluator, **evaluators}
        for name, each in named.items():
            each.add_event_handler(Events.COMPLETED, functools.partial(self._evaluated, name))
        return self

    def _begin(self, trainer: Engine) -> None:
        self._following.begin(self._model, self._optimizer)
        # Added now, it runs after all handlers that were there: evaluations at the end belong to the run.
        ending = trainer.add_event_handler(Events.COMPLETED, self._end)
        self._ending = ending

    def _end(self, _trainer: Engine) -> None:
        self._following.end()
        self._ending.remove()

    def _evaluated(self, name: str, evaluator: Engine) -> None:
        """``loss`` of an evaluator named validation is the validation loss."""
        self._following.log({f"{name}/{metric}": value for metric, value in evaluator.state.metrics.items()})
