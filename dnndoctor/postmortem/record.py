"""Writes what logs tell of a run as a recording."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from dnndoctor.postmortem.kept import Snapshot
from dnndoctor.postmortem.log import Series
from dnndoctor.postmortem.merge import Merged
from dnndoctor.postmortem.names import Role
from dnndoctor.recording.writer import Writer

KIND = "post-mortem"
MOST_STEPS = 20_000  # rows of the table of steps; the points themselves are all kept


def record(merged: Merged, weights: Iterable[Snapshot], path: Path, title: str) -> None:
    """A recording of the run at ``path``, which must not be there yet; ``title``: what the user named."""
    writer = Writer(str(path))
    try:
        first: dict[Role, Series] = {}
        for index, (role, series, file) in enumerate(merged.series):
            first.setdefault(role, series)
            facts = {"file": str(file)}
            writer.put("series", {"id": index, "name": series.name, "role": role.value, "facts": facts})
            writer.put_points(index, series.step, series.value, series.time, series.line)
        _steps(writer, first)
        known, rows = checkpoint_facts(weights)
        writer.put_all("checkpoint", rows)
        writer.run(
            kind=KIND,
            script=title,
            **known,
            unit=merged.unit,
            notes=merged.notes,
            sources=merged.sources,
            log_facts=merged.facts,
            outcome="examined",
        )
        writer.commit()
    finally:
        writer.close()


def checkpoint_facts(weights: Iterable[Snapshot]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Facts of the run on its checkpoints, and the rows of those that were read."""
    listed = list(weights)
    rows = [
        {"id": n, "path": each.path, "step": each.step, "facts": each.facts}
        for n, each in enumerate(listed)
        if "tensors" in each.facts
    ]
    return {"checkpoints": [(each.path, each.step, each.sound) for each in listed if each.step is not None]}, rows


def _steps(writer: Writer, first: dict[Role, Series]) -> None:
    """The steps at which the loss was logged, evenly thinned, with the rate and the norm as last logged before."""
    loss = first.get(Role.LOSS) or first.get(Role.VALIDATION_LOSS)
    if loss is None:
        return
    chosen = np.unique(np.linspace(0, len(loss.step) - 1, MOST_STEPS).astype(np.int64))
    rates, norms = (_held(first.get(role), loss.step[chosen]) for role in (Role.RATE, Role.GRAD_NORM))
    rows = [
        {"step": int(step), "loss": float(value), "learning_rate": float(rate), "grad_norm": float(norm)}
        for step, value, rate, norm in zip(loss.step[chosen], loss.value[chosen], rates, norms, strict=True)
    ]
    writer.put_all("step", rows)


def _held(series: Series | None, at: np.ndarray) -> np.ndarray:
    if series is None:
        return np.full(len(at), np.nan)
    index = np.searchsorted(series.step, at, "right") - 1
    return np.where(index >= 0, series.value[np.maximum(index, 0)], np.nan)
