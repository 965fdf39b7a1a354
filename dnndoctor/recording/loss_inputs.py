"""What the losses are fed, from the rows."""

from __future__ import annotations

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.graph import Graph, Node
from dnndoctor.recording.loss import fed
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
        tuple(_difference(each) for each in facts["differences"]),
        sizes[len(sizes) // 2] if sizes else 0,
        _summed(rows, graph),
        _likelihood(graph),
    )


def _difference(facts: Row) -> m.Difference:
    prediction, target, result = (tuple(each) for each in (*facts["shapes"], facts["result"]))
    return m.Difference(place(facts["location"]), prediction, target, result, facts.get("side", 0))


def _one(facts: Row, graph: Graph, nodes: list[Node]) -> m.LossInput:
    kept = {k: v for k, v in facts.items() if k in m.LossInput.__dataclass_fields__}
    for key in ("location", "built"):
        kept[key] = place(kept[key])
    for key in _TUPLES:
        if key in kept:
            kept[key] = tuple(kept[key])
    places = {kept["location"], kept["built"]} - {None}
    by_hand = kept.get("by_hand")
    known = [n for n in graph.nodes.values() if n.name == "sub"] if by_hand else nodes
    wanted = "sub" if by_hand else kept["function"]
    node = next((n for n in known if n.name == wanted and n.row["location"] in places), None)
    if node is None or not kept["input_differentiable"]:
        return m.LossInput(**kept)
    kept |= _behind(graph, node)
    before = list(graph.before(node))
    kept["chain"] = tuple(fed(n) for n in before)
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
    linear = len(graph.roots) == 1 and _reaches(graph, graph.nodes[graph.roots[0]], node)
    signs = [each for each in after if each.name in ("neg", "mul")]
    return {
        "linear": linear,
        "sign": signs[0].row["location"] if signs and linear else None,
        "divided": any(each.name in ("div", "mul") for each in after),
        "added_to": terms,
    }


def _reaches(graph: Graph, root: Node, loss: Node) -> bool:
    """Whether what backward begins at is the loss times a factor."""
    node, seen = root, set[int]()
    while node.index != loss.index:
        inputs = [i for i in dict.fromkeys(node.inputs) if i in graph.nodes]
        linear = node.name in _LINEAR or node.name in SHAPE_ONLY
        if not linear or len(inputs) != 1 or node.index in seen:
            return False
        seen.add(node.index)
        node = graph.nodes[inputs[0]]
    return True


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
    if len(graph.roots) != 1:
        return None
    root = graph.nodes[graph.roots[0]]
    return m.Fed("log-probability", root.row["location"], root.row["module"]) if _logarithmic(graph, root, 0) else None


def _logarithmic(graph: Graph, node: Node, depth: int) -> bool:
    """A log-probability, or a sum of some, times a factor."""
    if node.name in ("log_softmax", "logsigmoid"):
        return True
    if node.name == "log":
        return any(each.name in ("softmax", "sigmoid") for each in graph.before(node))
    inputs = [graph.nodes[i] for i in dict.fromkeys(node.inputs) if i in graph.nodes]
    one = len(inputs) == 1 and (node.name in _LINEAR or node.name in SHAPE_ONLY)
    if depth > 32 or not (one or (node.name == "add" and len(inputs) > 1)):
        return False
    return all(_logarithmic(graph, each, depth + 1) for each in inputs)
