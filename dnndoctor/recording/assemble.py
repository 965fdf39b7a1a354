"""From a recording's rows to the typed measurements that rules read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from dnndoctor import measurements as m
from dnndoctor.findings import Location
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.graph import ACTIVATIONS, LOSSES, NORMS, Graph, Node
from dnndoctor.recording.reader import Row, Rows, place, read

# Operations that carry a weight's shape as [in, out] and not as [out, in].
_TRANSPOSED = frozenset(("matmul", "mm", "addmm", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"))


def load(path: Path) -> dict[type, Any]:
    """All measurements of a recording by type; ``Missing`` where one was not taken.

    Raises ValueError with one line for people if the recording cannot be read.
    """
    return assemble(read(path))


def assemble(rows: Rows) -> dict[type, Any]:
    """As ``load``, from rows that were read."""
    graph = Graph(rows)
    found: dict[type, Any] = {
        m.Run: _run(rows),
        m.Layers: _layers(rows, graph),
        m.Activations: _activations(rows, graph),
        m.Weights: _weights(rows, graph),
        m.Gradients: _gradients(rows),
        m.Optimizers: _optimizers(rows),
        m.LearningRateSweep: _sweep(rows),
        m.BatchSweep: _batch_sweep(rows),
        m.TrainingData: _data(rows, graph),
        m.Loaders: _loaders(rows),
        m.SampleOrder: _order(rows),
        m.Steps: _steps(rows),
        m.Modes: _modes(rows),
        m.Clearings: _clearings(rows),
        m.Losses: _losses(rows, graph),
        m.Finiteness: _finiteness(rows),
    }
    if not rows["step"]:
        return {kind: Missing("no optimizer step was seen") for kind in found}
    return found


def _run(rows: Rows) -> m.Run:
    run = rows.run
    optimizers = rows["optimizer"]
    adversarial = len(optimizers) > 1 and sum(r["backwards"] >= 2 for r in rows["step"]) > 0
    negative = any((r["loss"] or 0.0) < 0 for r in rows["step"])
    clearing = [r["facts"] for r in rows["clearing"]]
    adversarial = len(optimizers) > 1 and all(c["backwards"] >= 2 for c in clearing)
    family = run.get("family") or ("gan" if adversarial else "reinforcement" if negative else "supervised")
    return m.Run(
        device=run.get("device") or "cpu",
        accelerator=run.get("accelerator"),
        steps=len(rows["step"]),
        pretrained=bool(run.get("pretrained")),
        family=family,
        models=tuple(r["class"] for r in rows["module"] if r["parameters"]),
        parameters=sum(math.prod(r["shape"]) for r in rows["parameter"]),
        wall_seconds=run.get("wall_seconds") or 0.0,
        torch_version=run.get("torch_version") or "",
        python_version=run.get("python_version") or "",
    )


def _first(rows: Rows, table: str) -> dict[int, Row]:
    """Each operation's row of the earliest step."""
    found: dict[int, Row] = {}
    for row in sorted(rows[table], key=lambda r: r["step"]):
        found.setdefault(row["operation"], row)
    return found


def _layer_name(graph: Graph, node: Node) -> str:
    weight = graph.weight(node)
    owner = weight.rpartition(".")[0]
    if node.row["module"] and (not weight or owner.startswith(node.row["module"])):
        return str(node.row["module"])
    return owner or weight or str(node.row["module"]) or node.name


def _layers(rows: Rows, graph: Graph) -> m.Layers | Missing:
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
                name=_layer_name(graph, node),
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
                gate=graph.gates(node) or _feeds_gate(graph, node),
                first=first,
                output=graph.is_output(node),
                flops_share=flops[node.index] / total,
                unit_std=statistics.get(node.index, {}).get("unit_std"),
                grad_std=gradients.get(node.index, {}).get("rms"),
            )
        )
    model = next((r["class"] for r in rows["module"] if r["parameters"]), "")
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


def _activations(rows: Rows, graph: Graph) -> m.Activations | Missing:
    history: dict[int, list[m.ActivationStatistics]] = {}
    for row in sorted(rows["activation"], key=lambda r: r["step"]):
        if row["max_abs"] is None:
            continue  # not finite: its statistics say nothing
        history.setdefault(row["operation"], []).append(_statistics(row))
    sites = []
    for node in graph.nodes.values():
        if node.name not in ACTIVATIONS:
            continue
        feeding = next((n for n in graph.before(node) if graph.weighted(n)), None)
        layer = _layer_name(graph, feeding) if feeding is not None else None
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
    return m.Activations(tuple(sites), input_std, attention)


def _statistics(row: Row) -> m.ActivationStatistics:
    return m.ActivationStatistics(
        step=row["step"],
        mean=row["mean"] or 0.0,
        std=row["std"] or 0.0,
        unit_std=_number(row["unit_std"]),
        max_abs=row["max_abs"] if row["max_abs"] is not None else math.inf,
        zero_share=row["zero_share"],
        saturated_share=row["saturated_share"],
        dead_share=row["dead_share"],
        pooled=row["pooled"],
        low=row["low"],
        high=row["high"],
        histogram=np.asarray(row["histogram"], np.int64),
    )


def _weights(rows: Rows, graph: Graph) -> m.Weights | Missing:
    found = []
    for row in rows["parameter"]:
        facts = row["facts"]
        cut = None
        if not facts["received_gradient"] and row["trainable"]:
            cut = graph.cut_after(row["name"])
        blind = place(facts.get("no_grad_at")) if not facts["used"] else None
        if blind is not None:
            facts = {**facts, "used": True}
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
                **keep,
            )
        )
    return m.Weights(tuple(found)) if found else Missing("no parameter was seen")


def _gradients(rows: Rows) -> m.Gradients | Missing:
    order = [r["name"] for r in rows["parameter"]]
    rms: dict[str, dict[int, float]] = {}
    ratio: dict[str, dict[int, float]] = {}
    for row in rows["gradient"]:
        rms.setdefault(row["parameter"], {})[row["step"]] = _number(row["rms"])
    for row in rows["update"]:
        ratio.setdefault(row["parameter"], {})[row["step"]] = _number(row["ratio"])
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
                np.asarray([rms[name][s] for s in at]),
                np.asarray([own.get(s, math.nan) for s in at]),
            )
        )
    watched = {r["step"] for r in rows["gradient"]}
    steps = [r for r in rows["step"] if r["step"] in watched]
    return m.Gradients(
        tuple(found),
        np.asarray([r["step"] for r in steps], np.int64),
        np.asarray([_number(r["grad_norm"]) for r in steps]),
        clipped=bool(rows.run.get("clipped")),
        scaled=bool(rows.run.get("scaled")),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _optimizers(rows: Rows) -> m.Optimizers | Missing:
    found = []
    for row in rows["optimizer"]:
        facts = row["facts"]
        found.append(
            m.Optimizer(
                name=row["name"],
                location=row["location"],
                learning_rates=tuple(facts["rates"]),
                peak_rate=facts["peak_rate"],
                warming_up=facts["warming_up"],
                rate_location=place(facts.get("rate_location")),
                scheduler=facts["scheduler"],
                closure=facts["closure"],
                steps=row["steps"],
                settings=facts["settings"],
            )
        )
    return m.Optimizers(tuple(found)) if found else Missing("no optimizer made a step")


def _probe(rows: Rows, name: str) -> Row | Missing:
    facts = rows.facts("probe", "name", name)
    if facts is None:
        off = not rows.run.get("probes", True)
        return Missing("probes were switched off" if off else "the script ended before this probe")
    if "missing" in facts:
        return Missing(facts["missing"] or "it could not be measured")
    return facts


def _sweep(rows: Rows) -> m.LearningRateSweep | Missing:
    facts = _probe(rows, "learning-rate")
    if isinstance(facts, Missing):
        return facts
    facts = dict(facts)
    for key in ("rates", "scores"):
        facts[key] = np.asarray(facts[key], np.float64)
    facts["usable"] = tuple(facts["usable"])
    return m.LearningRateSweep(**facts)


def _batch_sweep(rows: Rows) -> m.BatchSweep | Missing:
    facts = _probe(rows, "batch-size")
    if isinstance(facts, Missing):
        return facts
    by_size: dict[int, list[Row]] = {}
    for row in rows["throughput"]:
        by_size.setdefault(row["batch_size"], []).append(row)
    if len(by_size) < 2:
        return Missing("fewer than two batch sizes could be timed")
    sizes = sorted(by_size)
    speeds = {s: [r["samples_per_second"] for r in by_size[s]] for s in sizes}
    medians = [float(np.median(speeds[s])) for s in sizes]
    spreads = [max(speeds[s]) / min(speeds[s]) for s in sizes]
    peaks = [max(_number(r["peak_bytes"]) for r in by_size[s]) for s in sizes]
    return m.BatchSweep(
        sizes=np.asarray(sizes, np.int64),
        throughput=np.asarray(medians),
        spread=np.asarray(spreads),
        peak_bytes=np.asarray(peaks),
        user_size=facts["user_size"],
        knee=_knee(sizes, medians, spreads),
        stopped=facts["stopped"],
    )


def _knee(sizes: list[int], medians: list[float], spreads: list[float]) -> tuple[int, int]:
    """The smallest sizes whose throughput is within a fifth of the best one's, with and without the repeats' spread."""
    best, typical = max(medians), max(float(np.median(spreads)), 1.0)
    sure = [s for s, speed in zip(sizes, medians, strict=True) if speed >= 0.8 * best]
    maybe = [s for s, speed in zip(sizes, medians, strict=True) if speed >= 0.8 * best / typical]
    return min(maybe), min(sure)


def _data(rows: Rows, graph: Graph) -> m.TrainingData | Missing:
    if not rows["dataset"]:
        return Missing("no model input was seen")
    found = []
    for row in rows["dataset"]:
        facts = {k: v for k, v in row["facts"].items() if k in m.DataTensor.__dataclass_fields__}
        for key, kind in (("feature_mean", float), ("feature_std", float), ("feature_distinct", np.int64)):
            facts[key] = np.asarray(facts[key], kind)
        for key in ("shape", "bad_samples"):
            facts[key] = tuple(facts[key])
        masked = bool(rows.run.get("masked")) and facts["non_finite"] > 0 and facts["role"] == "input"
        found.append(m.DataTensor(location=row["location"], masked=masked, **facts))
    taker = next((n for n in graph.nodes.values() if graph.kind(n) or n.name in NORMS), None)
    return m.TrainingData(tuple(found), graph.kind(taker) or "norm" if taker is not None else None)


def _role(facts: Row) -> str:
    return "training" if facts["steps"] else "evaluation" if facts["batches"] else "unused"


def _loaders(rows: Rows) -> m.Loaders | Missing:
    found = []
    for row in rows["loader"]:
        facts = row["facts"]
        keep = {k: v for k, v in facts.items() if k in m.Loader.__dataclass_fields__}
        shuffle = place(facts.get("shuffle_location"))
        keep.pop("shuffle_location", None)
        found.append(m.Loader(location=row["location"], role=_role(facts), shuffle_location=shuffle, **keep))
    steps = rows["step"]
    sizes = sorted(r["batch_size"] for r in steps if r["batch_size"])
    if not sizes:
        return Missing("no batch was seen at the model")
    training = [each for each in found if each.role == "training"]
    length = max((each.length or 0 for each in training), default=0) or None
    waited = sum(r["data_seconds"] for r in steps[1:])
    worked = sum(r["compute_seconds"] for r in steps[1:])
    clearing = rows["clearing"]
    return m.Loaders(
        loaders=tuple(found),
        batch_size=sizes[len(sizes) // 2],
        dataset_length=length,
        accumulation=max((clearing[0]["facts"]["backwards"] if clearing else 1), 1),
        wait_share=waited / (waited + worked) if waited + worked > 0 else 0.0,
        batch_location=training[0].location if training else _call(rows),
    )


def _call(rows: Rows) -> Location | None:
    """Where the training loop calls the model."""
    return next((r["location"] for r in rows["pass"] if r["facts"]["trained"]), None)


def _order(rows: Rows) -> m.SampleOrder | Missing:
    facts = _probe(rows, "sample-order")
    if isinstance(facts, Missing):
        return facts
    recurrent = any(r["name"].startswith(("lstm", "gru", "rnn")) for r in rows["operation"])
    inputs = [r["facts"] for r in rows["dataset"] if r["facts"]["role"] == "input"]
    window = recurrent and not facts["classes"] and bool(inputs)
    facts = dict(facts)
    return m.SampleOrder(**{**facts, "location": place(facts["location"]) or _call(rows), "recurrent": window})


def _steps(rows: Rows) -> m.Steps:
    steps = rows["step"]
    columns = ("loss", "learning_rate", "data_seconds", "compute_seconds")
    arrays = {key: np.asarray([_number(r[key]) for r in steps]) for key in columns}
    return m.Steps(
        step=np.asarray([r["step"] for r in steps], np.int64),
        location=place(rows.run.get("backward_location")),
        **arrays,
    )


def _modes(rows: Rows) -> m.Modes | Missing:
    if not rows["pass"]:
        return Missing("no forward pass of a module was seen")
    roles = {r["id"]: _role(r["facts"]) for r in rows["loader"]}
    found = []
    for row in rows["pass"]:
        facts = row["facts"]
        role = roles.get(facts["loader"])
        if facts["gradients"] and facts["trained"]:
            purpose = "training"
        elif not facts["gradients"] or role == "evaluation":
            purpose = "evaluation"
        else:
            continue
        found.append(
            m.Mode(
                model=facts["model"],
                purpose=purpose,
                passes=facts["passes"],
                training_mode=facts["training"],
                location=row["location"],
                gradients=facts["gradients"],
                active=tuple(facts["active"]),
                inactive=tuple(facts["inactive"]),
                inactive_trained=tuple(facts["inactive_trained"]),
                trainable=facts["trainable"],
                same_input=facts["passes"] >= 5 and facts["distinct"] <= facts["passes"] // 4,
                training_data=role == "training",
            )
        )
    return m.Modes(tuple(found), bool(rows.run.get("mode_layers")))


def _clearings(rows: Rows) -> m.Clearings | Missing:
    found = []
    for row in rows["clearing"]:
        facts = dict(row["facts"])
        for key in ("step_location", "backward_location", "zero_location"):
            facts[key] = place(facts[key])
        found.append(m.Clearing(location=row["location"], **facts))
    return m.Clearings(tuple(found)) if found else Missing("no optimizer made a step")


def _losses(rows: Rows, graph: Graph) -> m.Losses | Missing:
    nodes = graph.losses()
    values = {r["operation"]: r["facts"]["value"] for r in rows["loss"]}
    targets = {r["facts"]["name"]: r["facts"] for r in rows["dataset"] if r["facts"]["role"] == "target"}
    first = _number(rows["step"][0]["loss"]) if rows["step"] else math.nan
    if not nodes:
        roots = [graph.nodes[i] for i in graph.roots]
        if not roots:
            return Missing("the operation that makes the loss was not seen")
        root = roots[0]
        return m.Losses((m.Loss("expression", root.row["location"], first, _chain(graph, root), plain=False),))
    own = [n for n in nodes if n.index in values] or nodes
    return m.Losses(tuple(_loss(graph, n, values.get(n.index, first), targets, len(own), rows) for n in own))


def _chain(graph: Graph, node: Node) -> tuple[m.Fed, ...]:
    return tuple(m.Fed(n.name, n.row["location"], n.row["module"]) for n in graph.before(node))


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
        output_layer=_layer_name(graph, output) if output is not None else None,
        output_location=output.row["location"] if output is not None else None,
    )


def _added(graph: Graph, node: Node) -> int:
    """Other terms that are added between this loss and where backward begins."""
    return sum(n.name in ("add", "sub", "stack", "sum") and len(set(n.inputs)) > 1 for n in graph.after(node))


def _spread(name: str, samples: int) -> float:
    """Standard error of a mean loss over this many samples, relative to it: about one for a squared error."""
    return (1.5 if name in LOSSES - {"cross_entropy", "nll_loss"} else 0.5) / math.sqrt(max(samples, 1))


def _finiteness(rows: Rows) -> m.Finiteness:
    checked = len({r["step"] for r in rows["gradient"]})
    event = next((r for r in rows["event"] if r["kind"] == "non-finite"), None)
    if event is None:
        return m.Finiteness(checked)
    facts = {k: v for k, v in event["facts"].items() if k in m.NonFinite.__dataclass_fields__}
    facts["loss_before"] = tuple(facts.get("loss_before", ()))
    return m.Finiteness(checked, m.NonFinite(step=event["step"], location=event["location"], **facts))
