"""Weights & Biases: ``watch(..., listeners=[WandbSink()])`` draws what is recorded there too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import wandb

from dnndoctor.integrations.sink import Sink

if TYPE_CHECKING:
    from dnndoctor.api import Checked


class WandbSink(Sink):
    """``run``: by default the active one; where there is none, one of its own. Options as of ``Sink``.

    W&B numbers the rows that a run logs, and drops one whose number is behind. So figures go into the row that the
    program logs next, and none is added to a run of the program's; a run of our own gets rows at once.
    """

    def __init__(self, run: Any = None, **options: Any) -> None:
        super().__init__(**options)
        given = run if run is not None else wandb.run
        self._own = given is None
        self._run = given if given is not None else wandb.init(project="dnndoctor", job_type="flight-recorder")
        self._run.define_metric(f"{self._prefix}/step", hidden=True)
        self._run.define_metric(f"{self._prefix}/*", step_metric=f"{self._prefix}/step")

    def send(self, step: int, figures: Mapping[str, float]) -> None:
        """Into one row."""
        self._run.log({f"{self._prefix}/step": step, **figures}, commit=self._own)

    def show(self, found: Checked) -> None:
        """The page as a panel, and how much was found in the summary."""
        self._run.summary[f"{self._prefix}/findings"] = len(found.findings)
        self._run.log({f"{self._prefix}/report": wandb.Html(found.html(), inject=False)}, commit=self._own)
        if self._own:
            self._run.finish()
