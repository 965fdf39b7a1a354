"""Recordings of ``check`` and of earlier post-mortems."""

from __future__ import annotations

from pathlib import Path

from dnndoctor.postmortem.log import Log, Points, Reader, Unreadable
from dnndoctor.recording.reader import Rows
from dnndoctor.recording.reader import read as rows_of
from dnndoctor.workspace import SQLITE

STEP = {"loss": "loss", "learning_rate": "learning_rate", "grad_norm": "grad_norm"}


def read(file: Path) -> Log:
    """The course of the loss, the rate and the gradient, and each layer's gradient where it was watched."""
    try:
        rows = rows_of(file)
    except ValueError as why:
        raise Unreadable(" ".join(str(why).split())) from None
    points = Points()
    _logged(rows, points) if rows["series"] else _watched(rows, points)
    if not points.count:
        raise Unreadable(f"{file}: no step was recorded")
    return Log(file, points.series())


def _logged(rows: Rows, points: Points) -> None:
    for row in rows["series"]:
        if (kept := rows.points.get(row["id"])) is not None:
            for step, value, time in zip(kept.step, kept.value, kept.time, strict=True):
                points.add(row["name"], float(value), step=float(step), time=float(time))


def _watched(rows: Rows, points: Points) -> None:
    for row in rows["step"]:
        for column, name in STEP.items():
            if row[column] is not None:
                points.add(name, row[column], step=row["step"])
            elif column == "loss":
                points.add(name, float("nan"), step=row["step"])  # which SQLite keeps as null
    for row in rows["gradient"]:
        if row["rms"] is not None:
            points.add(f"gradient of {row['parameter']}", row["rms"], step=row["step"])
    evaluations = rows.facts("window", "name", "evaluations") or {}
    for each in evaluations.get("points") or ():
        if each["loss"] is not None:
            points.add("val_loss", each["loss"], step=each["step"])


READERS = (Reader("recording", lambda _path, head: head.startswith(SQLITE), read),)
