"""Layers, activations, weights and gradients: what the model is and does, from the rows."""

from __future__ import annotations

import math
from operator import itemgetter

import numpy as np

from dnndoctor import measurements as m
from dnndoctor.findings import Location
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.graph import Graph, Node, layer_name
from dnndoctor.recording.operations import ACTIVATIONS
from dnndoctor.recording.reader import Row, Rows, number, place

# Operations that carry a weight's shape as [in, out] and not as [out, in].
_TRANSPOSED = frozenset(("matmul", "mm", "addmm", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"))


UNSEEN = "no operation inside of the model was seen: a scripted or traced model hides them"


def layers(rows: Rows, graph: Graph) -> m.Layers | Missing:
    """Every layer in the order of its first use."""
    statistics, gradients = _first(rows, "activation"), _first(rows, "output_gradient")
    shapes = {r["name"]: r for r in rows["parameter"]}
    flops = {n.index: _flops(n, shapes.get(graph.weight(n))) for n in graph.layers}
    total = sum(flops.values()) or 1.0
    found = []
    weighted_before: set[int] = set()
    for node in graph.layers:
        kind = graph.kind(node) or ""
        row = shapes.get(graph.weight(node), {})
        shape = row.get("shape") or [1, 1]
        if node.name in _TRANSPOSED and len(shape) > 1:
            shape = [shape[1], shape[0], *shape[2:]]
        ancestors = graph.ancestors(list(node.inputs))
        first = kind != "norm" and not (ancestors & weighted_before)
        if kind != "norm":
            weighted_before.add(node.index)
        found.append(
            m.Layer(
                name=layer_name(graph, node),
                kind=kind,
                weight=graph.weight(node),
                location=_built_at(node, row),
                inputs=shape[1] if len(shape) > 1 else shape[0],
                outputs=shape[0],
                fan_in=_fan(row, node, "fan_in"),
                fan_out=_fan(row, node, "fan_out"),
                activation=graph.activation_of(node),
                normalized=graph.normalized(node),
                residual=graph.residual(node),
                branch=node.index in graph.branches,
                gate=graph.gates(node) or _feeds_gate(graph, node),
                first=first,
                output=graph.is_output(node),
                flops_share=flops[node.index] / total,
                unit_std=statistics.get(node.index, {}).get("unit_std"),
                grad_std=gradients.get(node.index, {}).get("rms"),
                chain=graph.chains.get(graph.model(node), ""),
            )
        )
    model = next((r["class"] for r in rows["module"] if r["parameters"]), "")
    if not graph.sees_weights and rows["parameter"]:
        return Missing(UNSEEN)
    return m.Layers(model, tuple(found)) if found else Missing("no layer was seen in a forward pass")


def _built_at(node: Node, parameter: Row) -> Location | None:
    """The module's construction, or where a loose weight is made, or the call."""
    loose = not node.row["module_class"] and parameter
    place_: Location | None = (parameter.get("location") if loose else None) or node.row["location"]
    return place_


def _feeds_gate(graph: Graph, node: Node) -> bool:
    after = [each for each in graph.direct(node) if each.name in ("sigmoid", "hardsigmoid", "softmax", "tanh")]
    return bool(after) and all(graph.gates(each) for each in after)


def _feeds_only_gates(graph: Graph, node: Node) -> bool:
    """The squeeze before an excitation: all layers that it feeds are gates."""
    layers = [each for each in graph.after(node) if graph.weighted(each)]
    return bool(layers) and all(_feeds_gate(graph, each) for each in layers)


def _fan(row: Row, node: Node, key: str) -> int:
    if node.name in _TRANSPOSED:
        key = "fan_out" if key == "fan_in" else "fan_in"
    return int(row.get(key) or 1)


def _flops(node: Node, row: Row | None) -> float:
    if row is None or len(row["shape"]) < 2 or node.name.startswith("embedding"):
        return 0.0
    return float(math.prod(node.row["shape"]) * _fan(row, node, "fan_in"))


_FIGURES = itemgetter(
    *("step", "mean", "std", "unit_std", "max_abs"),
    *("zero_share", "saturated_share", "dead_share", "pooled", "low", "high", "histogram"),
)


def _first(rows: Rows, table: str) -> dict[int, Row]:
    """Each operation's row of the earliest step."""
    found: dict[int, Row] = {}
    for row in sorted(rows[table], key=itemgetter("step")):
        found.setdefault(row["operation"], row)
    return found


def activations(rows: Rows, graph: Graph) -> m.Activations | Missing:
    """Every activation function with its history."""
    history: dict[int, list[m.ActivationStatistics]] = {}
    for row in sorted(rows["activation"], key=itemgetter("step")):
        if row["max_abs"] is None:
            continue  # not finite: its statistics say nothing
        history.setdefault(row["operation"], []).append(_statistics(row))
    sites = []
    for node in graph.nodes.values():
        if node.name not in ACTIVATIONS:
            continue
        feeding = next((n for n in graph.before(node) if graph.weighted(n)), None)
        layer = layer_name(graph, feeding) if feeding is not None else None
        shape = node.row["shape"]
        channels = 1 if len(shape) >= 4 else -1
        own = node.row["module_class"].lower().replace("_", "") == node.name.replace("_", "")
        name = node.row["module"] if own else f"{node.name} after {layer}" if layer else node.name
        gate = graph.gates(node) or _feeds_only_gates(graph, node)
        role = "output" if graph.is_output(node) else "gate" if gate else "hidden"
        sites.append(
            m.Activation(
                name=name,
                function=node.name,
                location=node.row["location"],
                role=role,
                units=shape[channels] if shape else 1,
                layer=layer,
                history=tuple(history.get(node.index, ())),
            )
        )
    inputs = [r["facts"] for r in rows["dataset"] if r["facts"]["role"] == "input" and r["facts"]["kind"] == "float"]
    spread = inputs[0]["feature_std"] if inputs else []
    input_std = float(np.median(spread)) if spread else inputs[0]["std"] if inputs else None
    attention = any("attention" in n.name for n in graph.nodes.values())
    if not graph.nodes:
        return Missing("no forward pass was watched")
    if not graph.sees_weights and rows["parameter"]:
        return Missing(UNSEEN)
    return m.Activations(tuple(sites), input_std, attention)


def _statistics(row: Row) -> m.ActivationStatistics:
    step, mean, std, unit_std, max_abs, zeros, saturated, dead, pooled, low, high, bins = _FIGURES(row)
    spread = math.nan if unit_std is None else unit_std
    return m.ActivationStatistics(
        step, mean or 0.0, std or 0.0, spread, max_abs, zeros, saturated, dead, pooled, low, high, bins or "[]"
    )


def weights(rows: Rows, graph: Graph) -> m.Weights | Missing:
    """Every parameter."""
    found = []
    lines = (rows.facts("window", "name", "initializers") or {}).get("parameters", {})
    for row in rows["parameter"]:
        facts = row["facts"]
        cut = None
        if not facts["received_gradient"] and row["trainable"]:
            cut = graph.cut_after(row["name"])
        # What got a gradient was used; where no operation inside of the model was seen, nobody knows of the others.
        used = cut is not None or (facts["used"] and row["name"] not in graph.copied_only)
        facts = {**facts, "used": used or facts["received_gradient"] or not graph.sees_weights}
        blind = place(facts.get("no_grad_at")) if not facts["used"] else None
        if blind is not None:
            facts = {**facts, "used": True}
        for key in ("stepped_next_at", "idle_optimizer_at"):
            facts = {**facts, key: place(facts.get(key))}
        line, with_vectors = lines.get(row["name"], (None, False))
        keep = {k: v for k, v in facts.items() if k in m.Parameter.__dataclass_fields__}
        found.append(
            m.Parameter(
                name=row["name"],
                module=row["module"],
                module_class=row["module_class"],
                shape=tuple(row["shape"]),
                kind=row["kind"],
                fan_in=row["fan_in"],
                fan_out=row["fan_out"],
                trainable=bool(row["trainable"]),
                location=row["location"],
                optimizer=row["optimizer"],
                learning_rate=row["learning_rate"],
                cut_by=cut.name if cut else "no_grad" if blind else None,
                cut_at=cut.row["location"] if cut else blind,
                drawn="std" in facts,
                initialized_at=place(line),
                with_vectors=with_vectors,
                **keep,
            )
        )
    return m.Weights(tuple(found)) if found else Missing("no parameter was seen")


def bare_weights(rows: list[Row]) -> m.Weights:
    """Parameters of which no operation was seen that uses them; ``rows`` as in the table."""
    fields = m.Parameter.__dataclass_fields__
    columns = ("name", "module", "module_class", "kind", "fan_in", "fan_out", "location", "optimizer", "learning_rate")
    return m.Weights(
        tuple(
            m.Parameter(
                **{column: row[column] for column in columns},
                shape=tuple(row["shape"]),
                trainable=bool(row["trainable"]),
                drawn="std" in row["facts"],
                **{key: value for key, value in row["facts"].items() if key in fields},
            )
            for row in rows
        )
    )


def gradients(rows: Rows) -> m.Gradients | Missing:
    """Gradients and updates by parameter."""
    order = [r["name"] for r in rows["parameter"]]
    rms: dict[str, dict[int, float | None]] = {}
    ratio: dict[str, dict[int, float | None]] = {}
    for row in rows["gradient"]:
        rms.setdefault(row["parameter"], {})[row["step"]] = row["rms"]
    for row in rows["update"]:
        ratio.setdefault(row["parameter"], {})[row["step"]] = row["ratio"]
    if not rms:
        return Missing("no gradient was seen at an optimizer step")
    found = []
    for name in sorted(rms, key=lambda n: order.index(n) if n in order else len(order)):
        at = sorted(rms[name])
        own = ratio.get(name, {})
        found.append(
            m.ParameterGradient(
                name,
                np.asarray(at, np.int64),
                np.asarray([rms[name][s] for s in at], np.float64),  # what is None becomes nan
                np.asarray([own.get(s) for s in at], np.float64),
            )
        )
    watched = {r["step"] for r in rows["gradient"]}
    steps = [r for r in rows["step"] if r["step"] in watched]
    return m.Gradients(
        tuple(found),
        np.asarray([r["step"] for r in steps], np.int64),
        np.asarray([number(r["grad_norm"]) for r in steps]),
        clipped=bool(rows.run.get("clipped")),
        scaled=bool(rows.run.get("scaled")),
    )
