"""How well the hardware is used, from the rows."""

from __future__ import annotations

import numpy as np

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.reader import Row, Rows, place

NOT_RUN = "it was not tried"


def _facts(rows: Rows, name: str) -> Row | Missing:
    facts = rows.facts("probe", "name", name)
    if facts is None:
        return Missing(NOT_RUN)
    return Missing(facts["missing"]) if "missing" in facts else facts


def loading(rows: Rows) -> m.Loading | Missing:
    """The training loader with other numbers of workers."""
    facts = _facts(rows, "workers")
    if isinstance(facts, Missing):
        return facts
    if "wait_seconds" not in facts:
        return Missing("no DataLoader whose batches are trained on was seen")
    keys = ("workers", "cpus", "wait_seconds", "compute_seconds", "batches")
    points = tuple(m.LoadingPoint(**each) for each in facts["points"])
    return m.Loading(
        **{key: facts[key] for key in keys},
        location=place(facts["location"]),
        points=points,
        untried=facts.get("untried"),
    )


def threads(rows: Rows) -> m.Threads | Missing:
    """Threads against cores."""
    facts = _facts(rows, "workers")
    if isinstance(facts, Missing):
        return facts
    said = rows.facts("window", "name", "threads") or {}
    return m.Threads(
        facts["threads"],
        facts["cpus"],
        facts.get("pass_seconds"),
        facts.get("pass_seconds_at_cpus"),
        location=place(said.get("location")),
    )


def mixed_precision(rows: Rows) -> m.MixedPrecision | Missing:
    """Forward and backward in half precision."""
    facts = _facts(rows, "mixed-precision")
    return facts if isinstance(facts, Missing) else m.MixedPrecision(**facts)


def compilation(rows: Rows) -> m.Compilation | Missing:
    """Forward and backward compiled."""
    facts = _facts(rows, "compile")
    return facts if isinstance(facts, Missing) else m.Compilation(**facts)


def step_time(rows: Rows) -> m.StepTime | Missing:
    """Where a step goes."""
    steps = rows["step"][1:] or rows["step"]
    waited = float(np.median([row["data_seconds"] for row in steps]))
    facts = rows.facts("probe", "name", "batch-size") or {}
    if facts.get("step_seconds"):
        forward, backward = facts["forward_seconds"], facts["backward_seconds"]
        return m.StepTime(waited, forward, backward, max(facts["step_seconds"] - forward - backward, 0.0))
    watched = float(np.median([row["compute_seconds"] for row in steps]))
    if not waited + watched > 0:
        return Missing("the steps were not timed")
    return m.StepTime(waited, 0.0, 0.0, watched, clean=False)


def memory(rows: Rows) -> m.MemoryUse | Missing:
    """Peak and limit."""
    facts = rows.facts("window", "name", "memory")
    return Missing("how much memory there is was not told") if facts is None else m.MemoryUse(**facts)


def transfers(rows: Rows) -> m.Transfers:
    """Repeated copies to the accelerator."""
    facts = rows.facts("window", "name", "transfers") or {"copies": []}
    return m.Transfers(
        tuple(
            m.Transfer(place(each["location"]), each["bytes"], each["steps"], each["seconds"])
            for each in facts["copies"]
        )
    )
