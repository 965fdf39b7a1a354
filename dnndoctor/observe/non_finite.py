"""Finds the operation that first made a value that is not finite."""

from __future__ import annotations

import math
from typing import Any

import torch

from dnndoctor.observe.data import Fed
from dnndoctor.observe.forward import ForwardWatch, Operation

# These put infinities in on purpose: masks before a softmax.
MASKS = frozenset(("masked_fill", "where", "full", "full_like", "new_full", "triu", "tril", "add", "sub"))


def find_first(forward: ForwardWatch, fed: dict[str, Fed], step: int, what: str, losses: list[float]) -> dict[str, Any]:
    """One row for the ``event`` table: phase, operation, place and the range of its finite input.

    ``what`` came out non-finite: "loss" (look into the forward pass) or "gradient" (look there, then at the backward).
    """
    watched = forward.step
    values = [(index, float(value)) for index, value in watched.largest]
    bad_data = next((each for each in fed.values() if each.bad_step is not None and each.bad_step <= step), None)
    before = [each for each in losses if math.isfinite(each)][-8:]
    growing = len(before) >= 3 and before[-1] > 10 * max(abs(before[0]), 1e-12)
    facts: dict[str, Any] = {"loss_before": before, "growing": growing}
    if bad_data is not None:
        place = bad_data.location
        return _row(step, place, {**facts, "phase": "data", "operation": bad_data.name, "module": "", "kind": "nan"})
    found = next((pair for pair in values if _counts(forward.operations[pair[0]], pair[1])), None)
    phase = "forward"
    if found is None and what == "gradient":
        found, phase = _in_backward(forward), "backward"
    if found is None:
        return _row(step, None, {**facts, "phase": phase, "operation": what, "module": "", "kind": "nan"})
    operation = forward.operations[found[0]]
    by_index = dict(values)
    inputs = [by_index[i] for i in operation.inputs if math.isfinite(by_index.get(i, math.nan))]
    facts |= {
        "phase": phase,
        "operation": operation.name,
        "module": operation.module,
        "kind": "inf" if math.isinf(found[1]) else "nan",
        "input_high": max(inputs) if inputs else None,
    }
    return _row(step, operation.location, facts)


def _row(step: int, location: Any, facts: dict[str, Any]) -> dict[str, Any]:
    return {"step": step, "facts": facts, "location": location}


def _counts(operation: Operation, largest: float) -> bool:
    if math.isfinite(largest):
        return False
    return not (math.isinf(largest) and operation.name in MASKS)


def _in_backward(forward: ForwardWatch) -> tuple[int, float] | None:
    """The first operation, in backward order, that was handed a finite gradient and whose producers got a bad one."""
    watched = forward.step
    if not watched.gradients:
        return None
    norms = torch.stack([g.to(watched.gradients[0][2].device) for _, _, g in watched.gradients]).tolist()
    got = {index: norm for (index, _, _), norm in zip(watched.gradients, norms, strict=True)}
    consumers: dict[int, list[int]] = {}
    for operation in forward.operations:
        for each in operation.inputs:
            consumers.setdefault(each, []).append(operation.index)
    for (index, _, _), norm in zip(watched.gradients, norms, strict=True):
        if not math.isfinite(norm):
            culprits = [c for c in consumers.get(index, []) if math.isfinite(got.get(c, 0.0))]
            return (culprits[0] if culprits else index), norm
    # every operation's own output gradient is finite: the last one before a parameter made it
    return max(got), math.nan
