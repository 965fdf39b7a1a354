"""What the losses are fed, from the rows."""

from __future__ import annotations

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.graph import Graph, Node
from dnndoctor.recording.operations import LOSSES, SHAPE_ONLY
from dnndoctor.recording.reader import Row, Rows, place

_LINEAR = frozenset("mean sum neg mul div gather getitem".split())
_TUPLES = ("input_shape", "target_shape", "prediction", "target", "distinct")


def loss_inputs(rows: Rows, graph: Graph) -> m.LossInputs | Missing:
    """Every place where a known loss is called."""
    facts = rows.facts("window", "name", "loss-inputs") or {"losses": [], "differences": []}
    if not graph.nodes:
        return Missing("no forward pass was watched")
    sizes = sorted(r["batch_size"] for r in rows["step"] if r["batch_size"])
    nodes = graph.losses()
    return m.LossInputs(
        tuple(_one(each, graph, nodes) for each in facts["losses"]),
        tuple(
            m.Difference(place(d["location"]), tuple(d["shapes"][0]), tuple(d["shapes"][1]), tuple(d["result"]))
            for d in facts["differences"]
        ),
        sizes[len(sizes) // 2] if sizes else 0,
        _summed(rows, graph),
        _likelihood(graph),
    )


def _one(facts: Row, graph: Graph, nodes: list[Node]) -> m.LossInput:
    kept = {k: v for k, v in facts.items() if k in m.LossInput.__dataclass_fields__}
    for key in ("location", "built"):
        kept[key] = place(kept[key])
    for key in _TUPLES:
        if key in kept:
            kept[key] = tuple(kept[key])
    places = {kept["location"], kept["built"]} - {None}
    node = next((n for n in nodes if n.name == kept["function"] and n.row["location"] in places), None)
    if node is None or not kept["input_differentiable"]:
        return m.LossInput(**kept)
    kept |= _behind(graph, node)
    before = list(graph.before(node))
    kept["chain"] = tuple(m.Fed(n.name, n.row["location"], n.row["module"]) for n in before)
    kept["softmaxes"] = tuple(use for n in before if (use := _softmax(n)) is not None)
    return m.LossInput(**kept)


def _softmax(node: Node) -> m.SoftmaxUse | None:
    """None for another operation, and where nothing says over which axis it goes."""
    shape = tuple(node.row["shape"])
    if node.name not in ("softmax", "log_softmax") or not shape or node.name in LOSSES:
        return None
    axis = node.row["attributes"].get("dim")
    chosen = axis is not None
    if axis is None:
        axis = 0 if len(shape) in (1, 3) else 1  # as torch chooses it, with a warning
    return m.SoftmaxUse(node.name, node.row["location"], node.row["module"], axis % len(shape), shape, chosen)


def _behind(graph: Graph, node: Node) -> Row:
    """What becomes of the loss on its way to backward."""
    after = list(graph.after(node))
    terms = any(each.name in ("add", "sub", "stack", "cat", "sum") and len(set(each.inputs)) > 1 for each in after)
    negations = [each for each in after if each.name == "neg"]
    negated = negations[0].row["location"] if len(negations) % 2 and not terms else None
    return {"negated": negated, "divided": any(each.name in ("div", "mul") for each in after), "added_to": terms}


def _summed(rows: Rows, graph: Graph) -> m.Fed | None:
    """A sum over a batch by hand that is the whole loss."""
    sizes = {r["batch_size"] for r in rows["step"]}
    for index in graph.roots:
        root = graph.nodes[index]
        shape = root.row["input_shape"]
        if root.name == "sum" and not root.row["shape"] and shape and shape[0] > 1 and shape[0] in sizes:
            return m.Fed("sum", root.row["location"], root.row["module"])
    return None


def _likelihood(graph: Graph) -> m.Fed | None:
    """A log-probability that the whole loss is linear in, picked, weighted by data or averaged on the way."""
    for index in graph.roots:
        node, seen = graph.nodes[index], set[int]()
        while node.index not in seen:
            seen.add(node.index)
            if node.name in ("log_softmax", "logsigmoid"):
                return m.Fed(node.name, graph.nodes[index].row["location"], node.row["module"])
            inputs = [i for i in dict.fromkeys(node.inputs) if i in graph.nodes]
            if (node.name not in _LINEAR and node.name not in SHAPE_ONLY) or len(inputs) != 1:
                break
            node = graph.nodes[inputs[0]]
    return None
