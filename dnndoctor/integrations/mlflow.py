"""MLflow: ``watch(..., listeners=[MLflowSink()])`` keeps what is recorded there too."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.entities import Metric

from dnndoctor.integrations.sink import Sink

if TYPE_CHECKING:
    from dnndoctor.api import Checked

AT_ONCE = 1000  # metrics that MLflow takes in one request


class MLflowSink(Sink):
    """``run_id``: by default of the active run; where there is none, one of its own. Options as of ``Sink``."""

    def __init__(self, run_id: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._client = mlflow.MlflowClient()
        active = mlflow.active_run()
        known = run_id or (active.info.run_id if active is not None else None)
        self._own = known is None
        self._id = known or self._begin()
        self._under_way: list[Any] = []

    def _begin(self) -> str:
        with mlflow.start_run(run_name="dnndoctor") as run:  # in the experiment that is set; it is closed here and now
            identity: str = run.info.run_id
        return identity

    def send(self, step: int, figures: Mapping[str, float]) -> None:
        """Without waiting for the server."""
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in figures.items()]
        for start in range(0, len(metrics), AT_ONCE):
            sent = self._client.log_batch(self._id, metrics[start : start + AT_ONCE], synchronous=False)
            self._under_way.append(sent)
        del self._under_way[:-8]  # they arrive in order

    def flush(self) -> None:
        """Wait for what is under way."""
        for each in self._under_way:
            each.wait()
        self._under_way.clear()

    def show(self, found: Checked) -> None:
        """The page among the artifacts."""
        self._client.log_text(self._id, found.html(), "dnndoctor-report.html")
