"""The size of each layer's output over the watched steps, from the rows."""

from __future__ import annotations

import math

import numpy as np

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.graph import Graph, Node, layer_name
from dnndoctor.recording.reader import Row, Rows, number


def signals(rows: Rows, graph: Graph) -> m.Signals | Missing:
    """Linear layers and convolutions."""
    history: dict[int, list[Row]] = {}
    for row in sorted(rows["activation"], key=lambda r: r["step"]):
        history.setdefault(row["operation"], []).append(row)
    gradients: dict[int, float] = {}
    for row in sorted(rows["output_gradient"], key=lambda r: r["step"]):
        gradients.setdefault(row["operation"], number(row["rms"]))
    nodes = [node for node in graph.layers if graph.kind(node) in ("linear", "conv") and node.index in history]
    if not nodes:
        return Missing("no layer's output was sampled")
    return m.Signals(tuple(_signal(graph, node, history[node.index], gradients.get(node.index)) for node in nodes))


def _signal(graph: Graph, node: Node, history: list[Row], gradient: float | None) -> m.Signal:
    shape = node.row["shape"]
    between = (shape[2:] if graph.kind(node) == "conv" else shape[1:-1]) if len(shape) > 2 else []
    positions = math.prod(between)
    return m.Signal(
        layer=layer_name(graph, node),
        steps=np.asarray([row["step"] for row in history], np.int64),
        unit_std=np.asarray([number(row["unit_std"]) for row in history]),
        largest=np.asarray([math.inf if row["max_abs"] is None else row["max_abs"] for row in history]),
        positions=positions,
        grad_norm=number(gradient) * math.sqrt(positions),
    )
