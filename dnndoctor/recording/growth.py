"""Over-fitting, and what was tried against it, from the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.reader import Row, Rows, place

NOT_RUN = "the probe did not run"


def _facts(rows: Rows, name: str) -> Row | Missing:
    facts = rows.facts("probe", "name", name)
    if facts is None:
        return Missing(NOT_RUN)
    return Missing(facts["missing"]) if "missing" in facts else facts


def overfitting(rows: Rows) -> m.Overfitting | Missing:
    """Losses on training and held-out samples."""
    facts = _facts(rows, "overfitting")
    if isinstance(facts, Missing):
        return facts
    return m.Overfitting(
        marks=np.asarray(facts["marks"], np.int64),
        training_loss=np.asarray(facts["training_loss"]),
        held_out_loss=np.asarray(facts["held_out_loss"]),
        start=facts["start"],
        samples=facts["rows"],
        parameters=facts["parameters"],
        epochs=facts["epochs"],
        training_error=_table(facts["training_error"]),
        held_out_error=_table(facts["held_out_error"]),
        length=facts["length"],
        closed=facts["seen"] > facts["rows"],
        planned_epochs=facts["planned_epochs"],
        augmented=facts["augmented"],
        restraints=tuple(facts["restraints"]),
        grows=facts["grows"],
        model=facts["model"],
        location=place(facts["location"]),
    )


def remedies(rows: Rows) -> m.Remedies | Missing:
    """Dropout and weight decay against over-fitting."""
    facts = _facts(rows, "regularization")
    if isinstance(facts, Missing):
        return facts
    tried = (m.Remedy(each["kind"], each["value"], np.asarray(each["held_out_loss"])) for each in facts["variants"])
    return m.Remedies(facts["steps"], tuple(tried))


def widths(rows: Rows) -> m.Widths | Missing:
    """Narrower and wider."""
    facts = _facts(rows, "width")
    if isinstance(facts, Missing):
        return facts
    losses = ("training_loss", "held_out_loss")
    tried = (
        m.Width(each["factor"], each["parameters"], *(np.asarray(each[key]) for key in losses))
        for each in facts["widths"]
    )
    return m.Widths(facts["steps"], tuple(tried))


def warm_start(rows: Rows) -> m.WarmStart | Missing:
    """From scratch, and after learning from the inputs alone."""
    facts = _facts(rows, "pretraining")
    if isinstance(facts, Missing):
        return facts
    scratch, warm = np.asarray(facts["scratch"]), np.asarray(facts["warm"])
    return m.WarmStart(scratch, warm, facts["start"], facts["steps"], facts["rows"])


def _table(value: Any) -> NDArray[np.float64] | None:
    return None if value is None else np.asarray(value, np.float64)
