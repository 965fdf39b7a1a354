"""The losses and what feeds them, from the rows."""

from __future__ import annotations

import math

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.graph import Graph, Node, layer_name
from dnndoctor.recording.operations import COSINES, LOSSES
from dnndoctor.recording.reader import Row, Rows, number


def losses(rows: Rows, graph: Graph) -> m.Losses | Missing:
    """Every loss operation."""
    nodes = graph.losses()
    values = {r["operation"]: r["facts"]["value"] for r in rows["loss"]}
    targets = {r["facts"]["name"]: r["facts"] for r in rows["dataset"] if r["facts"]["role"] == "target"}
    first = number(rows["step"][0]["loss"]) if rows["step"] else math.nan
    if not nodes:
        roots = [graph.nodes[i] for i in graph.roots]
        if not roots:
            return Missing("the operation that makes the loss was not seen")
        root = roots[0]
        return m.Losses((m.Loss("expression", root.row["location"], first, _chain(graph, root), plain=False),))
    own = [n for n in nodes if n.index in values] or nodes
    return m.Losses(tuple(_loss(graph, n, values.get(n.index, first), targets, len(own), rows) for n in own))


def _loss(graph: Graph, node: Node, value: float, targets: dict[str, Row], count: int, rows: Rows) -> m.Loss:
    attributes, shape = node.row["attributes"], node.row["input_shape"]
    target = targets.get(f"target of {node.name}", {})
    integer = target.get("kind") in ("integer", "bool")
    classes = shape[1] if node.name in ("cross_entropy", "nll_loss") and len(shape) > 1 else None
    binary = node.name.startswith("binary_cross_entropy")
    best: float | None = None
    if classes and classes > 1:
        best = math.log(classes)
    elif binary:
        best = math.log(2)
    elif node.name == "mse_loss" and target:
        best = target["std"] ** 2
    reduction = attributes.get("reduction", "mean")
    terms = count + _added(graph, node)
    plain = reduction == "mean" and not attributes.get("label_smoothing") and "class_weights" not in attributes
    plain = plain and (integer or not classes) and terms == 1
    if classes and target and target["low"] < 0:
        plain = False  # ignored targets
    output = next((n for n in graph.before(node) if graph.weighted(n)), None)
    samples = int(shape[0]) if shape else 1
    return m.Loss(
        function=node.name,
        location=node.row["location"],
        value=value,
        chain=_chain(graph, node),
        reduction=reduction,
        classes=classes,
        label_entropy=target.get("label_entropy"),
        target_mean=target.get("mean") if not integer else None,
        target_variance=target["std"] ** 2 if target and not integer else None,
        best_constant=best,
        terms=terms,
        plain=bool(plain) and not rows.run.get("pretrained"),
        samples=samples,
        spread=_spread(node.name, samples),
        cosines=any(each.name in COSINES for each in graph.head(node)),
        output_layer=layer_name(graph, output) if output is not None else None,
        output_location=output.row["location"] if output is not None else None,
    )


def fed(node: Node) -> m.Fed:
    """An operation on the way into a loss."""
    row = node.row
    return m.Fed(node.name, row["location"], row["module"], bool(row["module_class"]))


def _chain(graph: Graph, node: Node) -> tuple[m.Fed, ...]:
    return tuple(fed(n) for n in graph.before(node))


def _added(graph: Graph, node: Node) -> int:
    """Other terms that are added between this loss and where backward begins."""
    return sum(n.name in ("add", "sub", "stack", "sum") and len(set(n.inputs)) > 1 for n in graph.after(node))


def _spread(name: str, samples: int) -> float:
    """Standard error of a mean loss over this many samples, relative to it: about one for a squared error."""
    return (1.5 if name in LOSSES - {"cross_entropy", "nll_loss"} else 0.5) / math.sqrt(max(samples, 1))
