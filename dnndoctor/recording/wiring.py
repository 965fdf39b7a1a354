"""What stands directly behind what, from the graph of operations."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dnndoctor import measurements as m
from dnndoctor.findings import Location
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.graph import Graph, Node, layer_name
from dnndoctor.recording.operations import DROPOUTS, LOSSES, SHAPE_ONLY
from dnndoctor.recording.reader import Row, Rows, place
from dnndoctor.recording.structure import UNSEEN

# Losses of distances between embeddings: a dropout on those is augmentation.
_OF_EMBEDDINGS = frozenset(
    "cosine_embedding_loss triplet_margin_loss triplet_margin_with_distance_loss margin_ranking_loss "
    "hinge_embedding_loss".split()
)
# The way from a prediction into a loss, a handwritten one included.
_ONWARD = frozenset(("softmax", "log_softmax", "sigmoid", "logsigmoid", "sub", "pow", "square", "abs", "mean", "sum"))
_PRODUCTS = frozenset("matmul bmm mm einsum scaled_dot_product_attention baddbmm softmax".split())
_CANCELLING = frozenset(("batch_norm", "instance_norm"))


def wiring(rows: Rows, graph: Graph) -> m.Wiring | Missing:
    """Pairs of linear layers, biases before norms, dropouts and what they feed."""
    if not graph.nodes:
        return Missing("no forward pass was watched")
    if not graph.sees_weights and rows["parameter"]:
        return Missing(UNSEEN)
    parameters = {row["name"]: row for row in rows["parameter"]}
    complete = bool(rows.run.get("operations_complete", True))
    affine = [node for node in graph.layers if graph.kind(node) in ("linear", "conv")]
    return m.Wiring(
        pairs=tuple(_pairs(graph, affine, parameters)),
        biases=tuple(_biases(graph, affine, parameters)),
        dropouts=tuple(_dropout(graph, node, complete) for node in graph.nodes.values() if node.name in DROPOUTS),
        affine=len(affine),
    )


def _pairs(graph: Graph, affine: list[Node], parameters: dict[str, Row]) -> Iterator[m.LinearPair]:
    uses = [p for node in graph.nodes.values() if not graph.copies(node) for p in node.parameters]
    for first in affine:
        second = _only_taker(graph, first)
        if second is None or graph.kind(second) not in ("linear", "conv") or not _same_make(first, second):
            continue
        rows = [parameters[graph.weight(each)] for each in (first, second) if graph.weight(each) in parameters]
        if len(rows) < 2 or not all(_plain(each, row, uses) for each, row in zip((first, second), rows, strict=True)):
            continue
        if graph.model(first) != graph.model(second) or _of_attention(graph, first, second):
            continue
        names = layer_name(graph, first), layer_name(graph, second)
        inputs, inner = _sizes(first, rows[0])
        _, outputs = _sizes(second, rows[1])
        where = _between(first)
        siblings, head = _kin(names[0]) == _kin(names[1]), graph.is_output(second)
        yield m.LinearPair(*names, where, inputs, inner, outputs, siblings, head)


def _only_taker(graph: Graph, node: Node) -> Node | None:
    """The one operation that takes its output, past what only changes a shape or drops entries."""
    here = node
    for _ in range(12):
        if len(here.consumers) != 1 or here.index in graph.roots:
            return None
        here = graph.nodes[here.consumers[0]]
        if here.name not in SHAPE_ONLY:
            return here if here.inputs and here.inputs[0] != here.index else None
    return None


def _same_make(first: Node, second: Node) -> bool:
    """Two linear layers or two convolutions: between the two kinds stands a change of shape with a meaning."""
    conv = [each.name.startswith("conv") for each in (first, second)]
    return conv[0] == conv[1] and "transpose" not in first.name and "bilinear" not in (first.name, second.name)


def _plain(node: Node, row: Row, uses: list[str]) -> bool:
    """Drawn, trained, used once, the only weight of its operation, and no depthwise or one-sided kernel."""
    facts, shape = row["facts"], row["shape"]
    kernel = shape[2:] if node.name.startswith("conv") else []
    shared = uses.count(row["name"]) > 1 or len([p for p in node.parameters if not p.endswith("bias")]) > 1
    whole = not kernel or len(kernel) == 1 or len(set(kernel)) == 1
    grouped = bool(kernel) and len(node.row["input_shape"]) > 1 and shape[1] < node.row["input_shape"][1]
    trained = row["trainable"] and row["optimizer"] is not None
    return trained and whole and not (shared or grouped or facts.get("loaded") or facts.get("parametrized"))


def _of_attention(graph: Graph, first: Node, second: Node) -> bool:
    """The projection behind an attention's sum, or the one that is split into queries, keys and values."""
    behind = next((each for each in graph.before(first)), None)
    ahead = {each.name for each in graph.direct(second)}
    return (behind is not None and behind.name in _PRODUCTS and not graph.weighted(behind)) or (
        graph.gates(second) or bool(ahead & _PRODUCTS)
    )


def _sizes(node: Node, row: Row) -> tuple[int, int]:
    shape = row["shape"]
    return (shape[0], shape[1]) if node.name in ("matmul", "mm", "addmm") else (shape[1], shape[0])


def _between(node: Node) -> Location | None:
    """In a sequence of layers the line that builds it; else the line that calls it."""
    call = place(node.row["attributes"].get("call"))
    built: Location | None = node.row["location"]
    path = str(node.row["module"])
    in_sequence = path.rpartition(".")[2].isdigit()
    return (built or call) if in_sequence else (call or built)


def _kin(path: str) -> str:
    """The part of the model that a layer is in, without its number."""
    return re.sub(r"\d+", "#", path.rpartition(".")[0])


def _biases(graph: Graph, affine: list[Node], parameters: dict[str, Row]) -> Iterator[m.BiasBeforeNorm]:
    uses = [p for node in graph.nodes.values() for p in node.parameters]
    for node in affine:
        bias = next((p for p in node.parameters if len(parameters.get(p, {}).get("shape", [0, 0])) == 1), None)
        takers = [graph.nodes[index] for index in node.consumers]
        if bias is None or uses.count(bias) > 1 or len(takers) != 1 or takers[0].name not in _CANCELLING:
            continue
        # Over the positions of a sequence a norm does not cancel a feature's bias.
        if graph.kind(node) == "linear" and len(node.row["shape"]) != 2:
            continue
        row = parameters[bias]
        if row["trainable"] and not row["facts"].get("loaded"):
            norm = str(takers[0].row["module"]) or takers[0].name
            yield m.BiasBeforeNorm(layer_name(graph, node), norm, node.row["location"], row["shape"][0])


def _dropout(graph: Graph, node: Node, complete: bool) -> m.Dropout:
    attributes = node.row["attributes"]
    before = [each for each in graph.before(node) if graph.weighted(each)]
    norms = [each.row["module"] or each.name for each in _next(graph, node) if each.name == "batch_norm"]
    own = node.row["module_class"].lower().endswith(node.name)
    after = layer_name(graph, before[0]) if before else None
    bare = f"{node.name} after {after}" if after else node.name
    return m.Dropout(
        name=str(node.row["module"]) if own and node.row["module"] else bare,
        function=node.name,
        location=node.row["location"],
        p=attributes.get("p"),
        active=attributes.get("training", True) is not False,
        shape=tuple(node.row["input_shape"]),
        norm=norms[0] if norms else None,
        loss=_loss(graph, node) if before and graph.is_output(node) else None,
        after=after,
        ignored=complete and _ignored(graph, node),
        data=not node.inputs,
        call=_between(node),
    )


def _next(graph: Graph, node: Node) -> list[Node]:
    return [graph.nodes[index] for index in node.consumers]


def _loss(graph: Graph, node: Node) -> str | None:
    """The loss that its output goes into with nothing but a softmax and the like between."""
    queue, seen = list(node.consumers), set[int]()
    while queue:
        index = queue.pop(0)
        here = graph.nodes[index]
        if index in seen:
            continue
        seen.add(index)
        if here.name in LOSSES:
            if here.name not in _OF_EMBEDDINGS:
                return here.name
        elif here.name in SHAPE_ONLY - DROPOUTS or here.name in _ONWARD:
            if index in graph.roots:
                return "the loss"
            queue.extend(here.consumers)
    return None


def _ignored(graph: Graph, node: Node) -> bool:
    """Whether its output goes nowhere, while another operation takes what it was given."""
    given = [graph.nodes[index] for index in node.inputs if index in graph.nodes]
    others = [index for each in given for index in each.consumers if index != node.index]
    return not node.consumers and node.index not in graph.roots and bool(others)
