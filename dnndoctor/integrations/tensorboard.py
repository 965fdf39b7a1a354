"""TensorBoard: ``watch(..., listeners=[TensorBoardSink("runs/a")])`` draws what is recorded there too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.utils.tensorboard import SummaryWriter

from dnndoctor.integrations.sink import Sink

if TYPE_CHECKING:
    from dnndoctor.api import Checked


class TensorBoardSink(Sink):
    """``where``: a folder, or the ``SummaryWriter`` that the program already has. Options as of ``Sink``."""

    def __init__(self, where: str | Path | SummaryWriter, **options: Any) -> None:
        super().__init__(**options)
        self._writer = where if isinstance(where, SummaryWriter) else SummaryWriter(str(where))
        self._own = not isinstance(where, SummaryWriter)

    def send(self, step: int, figures: Mapping[str, float]) -> None:
        """One scalar each."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """An own file is closed; a later write opens another beside it."""
        (self._writer.close if self._own else self._writer.flush)()

    def show(self, found: Checked) -> None:
        """As text."""
        self._writer.add_text(f"{self._prefix}/diagnosis", f"```\n{found}\n```")
        self.flush()
