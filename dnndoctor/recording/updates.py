"""What happens to gradients between backward and step, from the rows."""

from __future__ import annotations

import numpy as np

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.reader import Rows, place


def clipping(rows: Rows) -> m.Clipping | Missing:
    """Calls of gradient clipping."""
    facts = rows.facts("window", "name", "clipping")
    if facts is None:
        return Missing("no clipping of the gradient norm was seen")
    calls = np.asarray(facts["calls"], np.float64)
    return m.Clipping(calls[:, 1], calls[:, 2], place(facts["location"]))


def accumulation(rows: Rows) -> m.Accumulation | Missing:
    """Steps that several backwards led to."""
    facts = rows.facts("window", "name", "accumulation")
    if facts is None:
        return m.Accumulation(0, 1, 0, 0)
    steps = facts["steps"]
    fitting = [s for s in steps if s["alike"] and s["plain"] and s["batches"] >= s["backwards"]]
    known = next((bool(s["rescaled"]) for s in fitting if "rescaled" in s), False)  # not of the very first step
    backwards = sorted(s["backwards"] for s in steps)
    return m.Accumulation(
        len(steps),
        backwards[len(backwards) // 2],
        len(fitting),
        sum(bool(s.get("rescaled", known)) for s in fitting),
        place(facts["location"]),
    )


def custom_gradients(rows: Rows) -> m.CustomGradients | Missing:
    """Functions of the user's own, checked by the probe."""
    seen = rows.facts("window", "name", "custom-functions")
    if seen is None:
        return m.CustomGradients(())
    facts = rows.facts("probe", "name", "custom-gradients")
    if facts is None or "missing" in facts:
        return Missing((facts or {}).get("missing") or "custom gradients were not checked")
    found = []
    for each in facts["functions"]:
        kept = {k: v for k, v in each.items() if k in m.CustomGradient.__dataclass_fields__}
        kept |= {key: place(each.get(key)) for key in ("location", "defined")}
        found.append(m.CustomGradient(**kept))
    return m.CustomGradients(tuple(found))
