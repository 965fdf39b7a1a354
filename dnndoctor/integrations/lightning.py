"""Lightning: ``Trainer(callbacks=[FlightRecorder()])`` records a fit, and reports what was wrong with it at its end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Unpack

from dnndoctor.integrations.following import Following, Options

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback

    from dnndoctor.api import Checked
elif "pytorch_lightning" in sys.modules and "lightning" not in sys.modules:  # the same under its older name
    from pytorch_lightning.callbacks import Callback
else:
    try:
        from lightning.pytorch.callbacks import Callback
    except ImportError:
        from pytorch_lightning.callbacks import Callback


class FlightRecorder(Callback):
    """Records every fit with its validation metrics; on each rank one recording, on the first a report.

    Options as of ``integrations.following.Options``. ``diagnosis``: of the fit that ended last, as of
    ``dnndoctor.check``.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__()
        self._following = Following(options)

    @property
    def diagnosis(self) -> Checked | None:
        """Of the fit that ended last."""
        return self._following.diagnosis

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """The optimizers are there."""
        compiled = getattr(pl_module, "_compiler_ctx", None)  # the module of the user's is then inside of what runs
        self._following.begin(None if compiled else pl_module, trainer.optimizers)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """``training_step`` may well not call the module itself, which is what a recorder would hear."""
        self._following.batch(batch)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Metrics that were logged for callbacks."""
        if not trainer.sanity_checking:
            self._following.log(trainer.callback_metrics)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """After the last validation."""
        self._following.end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Of the fit, or of what comes after it."""
        kind = "interrupted" if isinstance(exception, KeyboardInterrupt) else "exception"
        self._following.end(kind, exception)
