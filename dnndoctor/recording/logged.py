"""Whole runs as they were logged, from the rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from dnndoctor import measurements as m
from dnndoctor.findings import Location
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.reader import Rows
from dnndoctor.recording.turns import moved, turns

KIND = "post-mortem"
FLIGHT = "flight"
UNTOLD = "logs do not tell it"


def is_log(rows: Rows) -> bool:
    """Whether the recording was made from logs, so that all else was not so much as looked at."""
    return bool(rows.run.get("kind") == KIND)


def is_flight(rows: Rows) -> bool:
    """Whether it was made by the flight recorder, over a whole run."""
    return bool(rows.run.get("kind") == FLIGHT)


def course(rows: Rows) -> m.Course | Missing:
    """The curves of the run, and where they went wrong."""
    curves = tuple(_curve(row, rows) for row in rows["series"] if row["id"] in rows.points)
    if not curves:
        return Missing("no log of a whole run was given")
    facts = rows.run.get("log_facts") or {}
    loss = next((each for each in curves if each.role == "loss"), None)
    found = turns(loss) if loss is not None and len(loss.value) else ()
    worst = next((each for each in found if each.kind != "jump"), found[0] if found else None)
    line, file = facts.get("exception_line"), facts.get("exception_file")
    return m.Course(
        unit=rows.run.get("unit") or "step",
        curves=curves,
        turns=found,
        moved=moved(curves, worst, loss) if worst is not None and loss is not None else (),
        checkpoints=tuple(m.Kept(*each) for each in rows.run.get("checkpoints") or ()),
        exception=facts.get("exception"),
        exception_message=facts.get("exception_message") or "",
        exception_place=Location(file, int(line)) if line and file else None,
    )


def _curve(row: dict[str, Any], rows: Rows) -> m.Curve:
    points = rows.points[row["id"]]
    line = np.nan_to_num(points.line).astype(np.int64)
    return m.Curve(row["name"], row["role"], points.step, points.value, points.time, line, row["facts"]["file"])


def snapshots(rows: Rows) -> m.Snapshots | Missing:
    """The weights at each checkpoint."""
    found = []
    for row in rows["checkpoint"]:
        facts = row["facts"]
        tensors = tuple(m.SavedTensor(**(each | {"shape": tuple(each["shape"])})) for each in facts["tensors"])
        held = facts.get("held")
        step = np.nan if row["step"] is None else float(row["step"])
        rate = facts.get("learning_rate")
        found.append(m.Snapshot(row["path"], step, tensors, None if held is None else int(held), rate))
    if not found:
        return Missing("no checkpoint was given that can be read")
    return m.Snapshots(tuple(found), rows.run.get("unit") or "step")


def measured(rows: Rows, every: Iterable[type], family: str | None = None) -> dict[type, Any]:
    """What logs can tell, and for all else the reason why it is not known; ``family``: as the user names it."""
    taken: dict[type, Any] = dict.fromkeys(every, Missing(UNTOLD))
    taken[m.Snapshots] = snapshots(rows)
    found = course(rows)
    taken[m.Course] = found
    if isinstance(found, Missing):
        return taken
    taken[m.Run] = m.Run("", None, len(rows["step"]), family=family or "supervised", whole=True)
    taken[m.History] = history(found)
    if (norm := found.curve("gradient norm")) is not None:
        taken[m.Gradients] = m.Gradients((), norm.step.astype(np.int64), norm.value)
    if found.loss is not None:
        taken[m.Steps] = _steps(rows)
        taken[m.Finiteness] = finiteness(found)
    return taken


def _steps(rows: Rows) -> m.Steps:
    table = rows["step"]
    loss, rate = (
        np.asarray([np.nan if (v := row[key]) is None else v for row in table], np.float64)
        for key in ("loss", "learning_rate")
    )
    unknown = np.full(len(table), np.nan)
    return m.Steps(np.asarray([row["step"] for row in table], np.int64), loss, rate, unknown, unknown)


def history(found: m.Course) -> m.History:
    """The curves as the rules on whole runs take them."""
    loss, held, norm, rate = (
        found.curve(each) for each in ("loss", "validation loss", "gradient norm", "learning rate")
    )
    empty = np.zeros(0)
    values = loss.value if loss is not None else empty
    alike = norm is not None and loss is not None and len(norm.value) == len(values)
    known = np.isfinite(held.value) if held is not None else empty.astype(bool)
    return m.History(
        loss=values,
        grad_norm=norm.value if alike and norm is not None else np.full(len(values), np.nan),
        learning_rate=rate.value if rate is not None else empty,
        validation_step=held.step[known].astype(np.int64) if held is not None else empty.astype(np.int64),
        validation_loss=held.value[known] if held is not None else empty,
        validation_location=None,
        complete=True,
    )


def finiteness(found: m.Course) -> m.Finiteness:
    """Whether the loss, or else the gradient norm, stopped being finite for good."""
    loss = found.loss
    assert loss is not None
    turn = found.lasting
    if turn is None or turn.kind != "non-finite":
        return _norm_finiteness(found, loss)
    before = loss.value[max(turn.at - 5, 0) : turn.at]
    grew = [each for each in found.turns if each.kind != "non-finite" and each.last >= turn.at - 3]
    first = m.NonFinite(
        step=int(turn.step),
        phase="loss",
        operation="",
        module="",
        kind="nan" if np.isnan(loss.value[turn.at]) else "inf",
        location=loss.place(turn.at),
        growing=bool(grew),
        loss_before=tuple(float(each) for each in before[np.isfinite(before)]),
    )
    return m.Finiteness(len(loss.value), first)


def _norm_finiteness(found: m.Course, loss: m.Curve) -> m.Finiteness:
    """By the gradient norm: some trainers log a mean of earlier losses, or 0, in place of a loss that is NaN."""
    norm = found.curve("gradient norm")
    turn = next((each for each in turns(norm) if each.kind == "non-finite"), None) if norm is not None else None
    if norm is None or turn is None:
        return m.Finiteness(len(loss.value))
    at = loss.before(turn.step)
    first = m.NonFinite(
        step=int(turn.step),
        phase="logged gradient",
        operation="",
        module="",
        kind="nan" if np.isnan(norm.value[turn.at]) else "inf",
        location=norm.place(turn.at),
        loss_before=(float(loss.value[at]),) if at >= 0 else (),
    )
    return m.Finiteness(len(loss.value), first)
