"""Whole trainings as the flight recorder followed them, from the rows: curves of it all, and what was there at first.

The recorder looks at no operation and tries nothing. What needs that stays unknown here, with the advice to examine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording import logged
from dnndoctor.recording.course import optimizers
from dnndoctor.recording.ranks import flown_ranks
from dnndoctor.recording.reader import Points, Row, Rows, place
from dnndoctor.recording.structure import bare_weights

UNTOLD = "the flight recorder does not look at it; dnndoctor check does"
SAMPLED_ROWS = 64  # of a batch, at most, by one look
REMEMBERED = 32  # looks
IN_TURN = 0.1  # steps of other optimizers to those of the first, from which on they train against each other
ZERO_SIDED = {"ReLU": "relu", "ReLU6": "relu6", "Threshold": "threshold"}


def measured(rows: Rows, every: Iterable[type], family: str | None = None) -> dict[type, Any]:
    """What a flight tells, and for all else the reason why it is not known; ``family``: as the user names it."""
    taken: dict[type, Any] = dict.fromkeys(every, Missing(UNTOLD))
    course = logged.course(rows)
    taken[m.Course] = course
    if isinstance(course, Missing):
        return taken
    taken[m.Run] = _run(rows, course, family)
    taken[m.Ranks] = flown_ranks(rows)
    taken[m.Snapshots] = logged.snapshots(rows)
    taken[m.History] = replace(logged.history(course), complete=ended(rows))
    taken[m.Gradients] = _gradients(rows, course)
    taken[m.Activations] = _activations(rows)
    if course.loss is not None:
        taken[m.Steps] = _steps(course)
        taken[m.Finiteness] = _finiteness(rows, course)
    if rows["optimizer"]:
        taken[m.Optimizers] = optimizers(rows)
    if rows["parameter"]:
        taken[m.Weights] = bare_weights(_with_gradients(rows, course))
    return taken


def ended(rows: Rows) -> bool:
    """Whether the run is over, as the recorder or who started it told; one that grows is judged as far as it goes."""
    return any(rows.run.get(each) is not None for each in ("ending", "ended_by", "exit_code"))


def steps_made(rows: Rows) -> int:
    """How many steps were recorded, as far as the points or the recorder's own end tell."""
    told = rows.run.get("steps")
    if told is not None:
        return int(told)  # what was logged after the last step counts as of the next, which was not made
    return max((int(each.step[-1]) for each in rows.points.values() if len(each.step)), default=-1) + 1


def _run(rows: Rows, course: m.Course, family: str | None) -> m.Run:
    run = rows.run
    return m.Run(
        device=run.get("device") or "cpu",
        accelerator=run.get("accelerator"),
        steps=int(course.last_step) + 1,
        pretrained=any(row["facts"].get("loaded") for row in rows["parameter"]),
        family=family or _family(rows, course),
        models=tuple(row["class"] for row in rows["module"]),
        parameters=sum(int(np.prod(row["shape"])) for row in rows["parameter"]),
        wall_seconds=run.get("wall_seconds") or 0.0,
        torch_version=run.get("torch_version") or "",
        python_version=run.get("python_version") or "",
        whole=True,
    )


def _family(rows: Rows, course: m.Course) -> str:
    """What can be told of the kind of training without a look at its operations."""
    if _in_turn(rows, course):
        return "gan"
    return "reinforcement" if rows.run.get("target_network") else "supervised"


def _in_turn(rows: Rows, course: m.Course) -> bool:
    """Whether several optimizers step in turn, as of networks that train against each other: no loss of them falls."""
    other = [row["id"] for row in rows["series"] if row["name"].startswith("rate of ") and row["id"] in rows.points]
    beside = rows.run.get("steps_beside") or sum(len(rows.points[each].step) for each in other)
    return bool(beside > IN_TURN * (course.last_step + 1))


def _finiteness(rows: Rows, course: m.Course) -> m.Finiteness:
    found = logged.finiteness(course)
    if found.first is None:
        return found
    return replace(found, first=replace(found.first, location=place(rows.run.get("step_location"))))


def _series(rows: Rows, role: str, key: str) -> dict[str, dict[str, Points]]:
    """By parameter or module, and then by statistic."""
    found: dict[str, dict[str, Points]] = {}
    for row in rows["series"]:
        if row["role"] == role and row["id"] in rows.points:
            found.setdefault(row["facts"][key], {})[row["facts"]["statistic"]] = rows.points[row["id"]]
    return found


def _gradients(rows: Rows, course: m.Course) -> m.Gradients | Missing:
    rms, ratios = _series(rows, "gradient", "parameter"), _series(rows, "update", "parameter")
    norm = course.curve("gradient norm")
    if norm is None:
        return Missing("no gradient was looked at")
    found = []
    for name, kinds in rms.items():
        own, moved = kinds["rms"], ratios.get(name, {}).get("ratio")
        known = dict(zip(moved.step.tolist(), moved.value.tolist(), strict=True)) if moved is not None else {}
        ratio = np.asarray([known.get(step, np.nan) for step in own.step.tolist()], np.float64)
        found.append(m.ParameterGradient(name, own.step.astype(np.int64), own.value, ratio))
    run = rows.run
    return m.Gradients(
        tuple(found), norm.step.astype(np.int64), norm.value, bool(run.get("clipped")), bool(run.get("scaled"))
    )


def _activations(rows: Rows) -> m.Activations | Missing:
    """Those with an exact zero side: of the others nobody knows whether they are hidden, gates or outputs."""
    seen = _series(rows, "activation", "module")
    classes = {row["facts"]["module"]: row["facts"]["class"] for row in rows["series"] if row["role"] == "activation"}
    if not seen:
        return Missing("no activation was looked at")
    # Positions of one sample resemble each other: only samples count, and where their number is unknown a look is one.
    samples = min(int(rows.run.get("batch_size") or 1), SAMPLED_ROWS)
    sites = tuple(
        m.Activation(name, ZERO_SIDED[classes[name]], None, "hidden", units=0, history=_history(kinds, samples))
        for name, kinds in seen.items()
        if classes[name] in ZERO_SIDED and "dead share" in kinds
    )
    return m.Activations(sites)


def _history(kinds: dict[str, Points], rows: int) -> tuple[m.ActivationStatistics, ...]:
    dead = kinds["dead share"]
    mean, std, zero = (_held(kinds[each], dead.step) for each in ("mean", "std", "zero share"))
    return tuple(
        m.ActivationStatistics(
            step=int(step),
            mean=float(mean[at]),
            std=float(std[at]),
            unit_std=float("nan"),
            max_abs=float("nan"),
            zero_share=float(zero[at]),
            dead_share=float(dead.value[at]),
            pooled=rows * min(at + 1, REMEMBERED),
        )
        for at, step in enumerate(dead.step)
    )


def _held(points: Points, step: np.ndarray) -> np.ndarray:
    """The last values until these steps: of what was told together, thinning may have kept different points."""
    return points.value[np.clip(np.searchsorted(points.step, step, "right") - 1, 0, None)]


def _steps(course: m.Course) -> m.Steps:
    loss, rate = course.loss, course.curve("learning rate")
    assert loss is not None
    unknown = np.full(len(loss.step), np.nan)
    if rate is None or not len(rate.step):
        held = unknown
    else:
        held = rate.value[np.clip(np.searchsorted(rate.step, loss.step, "right") - 1, 0, None)]
    return m.Steps(loss.step.astype(np.int64), loss.value, held, unknown, unknown)


def _with_gradients(rows: Rows, course: m.Course) -> list[Row]:
    """The parameters with what the whole run has shown of them."""
    rms = _series(rows, "gradient", "parameter")
    made = []
    for row in rows["parameter"]:
        points = rms.get(row["name"], {}).get("rms")
        received = points is not None and bool(np.nan_to_num(points.value, nan=1.0).any())
        steps = int(course.last_step) + 1 if row["optimizer"] is not None else 0
        facts = {**row["facts"], "received_gradient": received, "used": received, "effective_steps": steps}
        made.append({**row, "facts": facts})
    return made
