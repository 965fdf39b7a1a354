"""The training loop that was found, from the rows."""

from __future__ import annotations

import math

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.family import recognised
from dnndoctor.recording.graph import Graph
from dnndoctor.recording.operations import LOSSES
from dnndoctor.recording.reader import Row, Rows, place, role

MOST_TENSORS = 4


def training_loop(rows: Rows, graph: Graph, family: str | None = None) -> m.TrainingLoop | Missing:
    """Everything that the report's head says; ``family`` is the user's word, if they said one."""
    if not rows["step"]:
        return Missing("no optimizer step was seen")
    kind, reason = recognised(rows, family)
    models, names = _models(rows)
    loose = _loose(rows)
    return m.TrainingLoop(
        family=kind,
        family_reason=reason,
        models=(*models, *loose.values()),
        optimizers=_optimizers(rows, names, loose),
        loaders=_loaders(rows),
        losses=_losses(rows, graph),
    )


def _models(rows: Rows) -> tuple[tuple[m.FoundModel, ...], dict[int, str]]:
    """The models, trained ones first, and every one's name by its number. One built again in a loop counts once."""
    loop = rows.run.get("loop") or {}
    listed: list[Row] = loop.get("models") or []
    if not listed:
        return _tops(rows), {}
    called = [row["name"] or row["class"] for row in listed]
    found: dict[tuple[object, ...], m.FoundModel] = {}
    names = {}
    for number, row in enumerate(listed):
        location = place(row["location"])
        # Of one line, under one name: the fold before this one.
        key = (row["class"], location, called[number])
        again = not row["name"] and called[:number].count(called[number]) and row["alive"]
        name = f"{called[number]} {called[: number + 1].count(called[number])}" if again else called[number]
        names[number] = name
        found.pop(key, None) if not again else None
        found[(*key, number) if again else key] = m.FoundModel(
            name, row["class"], row["parameters"], row["trainable"], location, row["prefix"]
        )
    return tuple(sorted(found.values(), key=lambda each: not each.trainable)), names


def _loose(rows: Rows) -> dict[int, m.FoundModel]:
    """Trained tensors that no module holds, by the number of their optimizer."""
    found: dict[int, list[Row]] = {}
    for row in rows["parameter"]:
        if not row["module_class"] and row["optimizer"] is not None:
            found.setdefault(row["optimizer"], []).append(row)
    return {number: _tensors(group) for number, group in found.items()}


def _tensors(group: list[Row]) -> m.FoundModel:
    names, size = tuple(row["name"] for row in group), sum(math.prod(row["shape"]) for row in group)
    more = f" and {len(names) - MOST_TENSORS} more" if len(names) > MOST_TENSORS else ""
    shown = ", ".join(names[:MOST_TENSORS]) + more
    return m.FoundModel(shown, "Tensor", size, size, group[0]["location"], tensors=names)


def _tops(rows: Rows) -> tuple[m.FoundModel, ...]:
    """As older recordings have them."""
    return tuple(
        m.FoundModel(r["path"] or r["class"], r["class"], r["parameters"], r["parameters"], r["location"], r["path"])
        for r in rows["module"]
        if r["parameters"]
    )


def _optimizers(rows: Rows, names: dict[int, str], loose: dict[int, m.FoundModel]) -> tuple[m.FoundOptimizer, ...]:
    """Every optimizer; one built again at the same line for the same names counts once, with the steps of all."""
    held = (rows.run.get("loop") or {}).get("optimizers") or []
    found: dict[tuple[object, ...], m.FoundOptimizer] = {}
    for number, row in enumerate(rows["optimizer"]):
        mine = dict.fromkeys(names[i] for i in (held[number] if number < len(held) else ()))
        mine |= {loose[number].name: None} if number in loose else {}
        key = (row["name"], row["location"], tuple(mine))
        steps = row["steps"] + (found[key].steps if key in found else 0)
        rate, groups = row["facts"]["peak_rate"], row["facts"]["rates"]
        lowest = min(groups) if len(set(groups)) > 1 else None
        found[key] = m.FoundOptimizer(row["name"], rate, steps, tuple(mine), row["location"], lowest)
    return tuple(found.values())


def _loaders(rows: Rows) -> tuple[m.FoundLoader, ...]:
    order = ("training", "evaluation", "unused")
    sizes = sorted(r["batch_size"] for r in rows["step"] if r.get("batch_size"))
    found = {}
    for row in rows["loader"]:
        facts = row["facts"]
        use, size = role(facts), facts["batch_size"]
        if size is None and use == "training" and sizes:
            size = sizes[len(sizes) // 2]  # a batch sampler says nothing; the model was given this many
        one = m.FoundLoader(facts["dataset"], use, size, facts["workers"], row["location"])
        found[(one.name, one.role, one.location)] = one
    return tuple(sorted(found.values(), key=lambda each: order.index(each.role)))


def _losses(rows: Rows, graph: Graph) -> tuple[m.FoundLoss, ...]:
    """For every backward pass the known losses behind it, or the expression that it starts from."""
    calls = (rows.run.get("loop") or {}).get("losses") or {}
    found: dict[tuple[object, ...], m.FoundLoss] = {}
    for root in graph.roots:
        behind = [graph.nodes[i] for i in sorted(graph.ancestors([root])) if graph.nodes[i].name in LOSSES]
        for node in behind or [graph.nodes[root]]:
            name = node.name if node.name in LOSSES else "expression"
            at = place(calls.get(str(node.index))) or node.row["location"]
            found.setdefault((name, at.file, at.line) if at else (name,), m.FoundLoss(name, at))
    if not found:
        return (m.FoundLoss("expression", place(rows.run.get("backward_location"))),)
    return tuple(found.values())
