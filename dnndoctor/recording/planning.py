"""The plan of the run, its schedules, groups and habits, from the rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dnndoctor import measurements as m
from dnndoctor.findings import Location
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.reader import Row, Rows, number, place
from dnndoctor.recording.structure import UNSEEN


def plan(rows: Rows) -> m.Plan | Missing:
    """How long the run is meant to be."""
    facts = rows.facts("window", "name", "plan")
    if facts is None:
        return Missing("the loops around the optimizer's step could not be read")
    timed = [r["compute_seconds"] + r["data_seconds"] for r in rows["step"][1:]]
    steps = facts.get("steps")
    return m.Plan(
        epochs=facts.get("epochs"),
        steps_per_epoch=facts.get("steps_per_epoch"),
        steps=steps,
        ends_early=bool(facts.get("ends_early")),
        framework=facts.get("framework"),
        location=place(facts.get("location")),
        seconds=float(np.median(timed)) * steps if steps and timed else None,
        searched=tuple(facts.get("searched") or ()),
        searched_at=place(facts.get("searched_at")),
    )


def schedules(rows: Rows) -> m.Schedules:
    """Every scheduler, with its curve over the planned run."""
    facts = rows.facts("window", "name", "schedulers") or {}
    probed = rows.facts("probe", "name", "schedule") or {}
    curves = probed.get("curves") or []
    found = []
    for index, row in enumerate(facts.get("schedulers") or ()):
        curve = curves[index] if index < len(curves) else {}
        found.append(
            m.Schedule(
                name=row["name"],
                location=place(row["location"]),
                optimizer=row["optimizer"],
                settings=row["settings"],
                milestones=tuple(row["milestones"]),
                calls=row["calls"],
                watched_calls=row["watched_calls"],
                per=row.get("per"),
                before_any_step=row["before_any_step"],
                others=row["others"],
                replaced=row["replaced"],
                planned=row.get("planned"),
                given=row["given"],
                never_called=bool(row.get("never_called")),
                call_location=place(row["call_location"]),
                variable=row["variable"],
                rates=np.asarray(curve.get("rates") or (), np.float64),
                rates_per_epoch=np.asarray(curve.get("per_epoch") or (), np.float64),
                rates_per_step=np.asarray(curve.get("per_step") or (), np.float64),
                fails_after=curve.get("fails_after"),
                missing=curve.get("missing") or probed.get("missing") or "the schedule was not run",
            )
        )
    return m.Schedules(tuple(found))


def groups(rows: Rows) -> m.Groups | Missing:
    """The groups of every optimizer."""
    facts = rows.facts("window", "name", "groups")
    if facts is None:
        return Missing("no optimizer of torch's kind made a step")
    found = {row["index"]: _groups(row) for row in facts["optimizers"]}
    return m.Groups(tuple(found[index] for index in sorted(found)))


def _groups(row: Row) -> m.OptimizerGroups:
    width = max((len(each) for each in row["rates"]), default=0)
    return m.OptimizerGroups(
        groups=tuple(
            m.Group(tuple(each["names"]), each["entries"], each["learning_rate"], each["weight_decay"])
            for each in row["groups"]
        ),
        rates=np.asarray([each for each in row["rates"] if len(each) == width], np.float64).reshape(-1, max(width, 1)),
        decoupled=row["decoupled"],
        decay_ratios=tuple(number(each) for each in row["decay_ratios"]),
        decayed_norms=tuple(number(each) for each in row["decayed_norms"]),
        library=row["library"],
        odd_attributes=tuple(row["odd_attributes"]),
        odd_keys=tuple(row["odd_keys"]),
        decay_location=place(row["decay_location"]),
    )


def habits(rows: Rows) -> m.Habits | Missing:
    """What the source does around training."""
    facts = rows.facts("window", "name", "habits")
    if facts is None or not facts["lines"]:
        return Missing("no source file of the user's could be read")
    return m.Habits(
        lines=facts["lines"],
        evaluates=place(facts["evaluates"]),
        saves=place(facts["saves"]),
        logs=place(facts["logs"]),
        keeps_best=place(facts["keeps_best"]),
        writes_rate=place(facts["writes_rate"]),
        searches=place(facts["searches"]),
        saved=tuple(
            m.Saved(each["what"], each["in_loop"], each["conditional"], place(each["location"]))
            for each in facts["saved"]
        ),
        idle_rates=_named(facts["idle_rates"]),
        rate_attributes=_named(facts["rate_attributes"]),
        wrong_keys=_named(facts["wrong_keys"]),
    )


def _named(rows: list[list[Any]]) -> tuple[tuple[str, Location], ...]:
    found = [(str(name), place(where)) for name, where in rows]
    return tuple((name, where) for name, where in found if where is not None)


def penalty(rows: Rows) -> m.Penalty | Missing:
    """What is taken the absolute values of before any layer: parameters themselves."""
    found: dict[str, Location | None] = {}
    for row in rows["operation"]:
        sums = row["name"] == "abs" or (
            row["name"] in ("norm", "vector_norm") and (row["attributes"] or {}).get("p") == 1
        )
        if sums and not row["inputs"]:
            found.update(dict.fromkeys(row["parameters"], row["location"]))
    return m.Penalty(tuple(found), next(iter(found.values()), None)) if rows["operation"] else Missing(UNSEEN)


def waits(rows: Rows) -> m.Waits | Missing:
    """What is taken over from an accelerator."""
    if rows.run.get("device") in (None, "cpu"):
        return Missing("the model is trained on the CPU, where nothing waits for an accelerator")
    facts = rows.facts("window", "name", "waits") or {"steps": 0, "seconds": 0.0, "places": []}
    seconds = sum(r["compute_seconds"] for r in rows["step"])
    places = tuple(at for _, where in facts["places"] if (at := place(where)) is not None)
    return m.Waits(facts["steps"], len(rows["step"]), facts["seconds"] / seconds if seconds else 0.0, places)


def history(rows: Rows) -> m.History:
    """The course of the loss, as far as the recording goes."""
    facts = rows.facts("window", "name", "evaluations") or {}
    points = [row for row in facts.get("points") or () if row["loss"] is not None and math.isfinite(row["loss"])]
    known = rows.facts("window", "name", "plan") or {}
    steps, planned = rows["step"], known.get("steps") or math.inf
    return m.History(
        loss=np.asarray([number(r["loss"]) for r in steps]),
        grad_norm=np.asarray([number(r["grad_norm"]) for r in steps]),
        learning_rate=np.asarray([number(r["learning_rate"]) for r in steps]),
        validation_step=np.asarray([row["step"] for row in points], np.int64),
        validation_loss=np.asarray([row["loss"] for row in points], np.float64),
        validation_location=place(facts.get("location")),
        complete=len(steps) >= planned,
        epochs=known.get("epochs"),
    )
