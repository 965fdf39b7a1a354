"""Reads the roles of layers and activations out of the recorded forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from dnndoctor.recording.operations import ACTIVATIONS, COPYING, DISCRETE, GATING, LOSSES, NORMS, SHAPE_ONLY
from dnndoctor.recording.reader import Row, Rows

_KINDS = {
    "linear": "linear",
    "bilinear": "linear",
    "matmul": "linear",
    "mm": "linear",
    "addmm": "linear",
    "mv": "linear",
    "einsum": "linear",
    "embedding": "embedding",
    "embedding_bag": "embedding",
    "multi_head_attention_forward": "attention",
    "scaled_dot_product_attention": "attention",
}


@dataclass(frozen=True)
class Node:
    """One recorded operation."""

    index: int
    row: Row
    name: str
    inputs: tuple[int, ...]
    parameters: tuple[str, ...]
    consumers: list[int] = field(default_factory=list)


class Models:
    """The models of a run by what the names of their layers begin with."""

    def __init__(self, rows: Rows) -> None:
        models = (rows.run.get("loop") or {}).get("models") or []
        self._trainers = {row["prefix"]: set(row["optimizers"]) for row in models if row["prefix"]}
        taught = (rows.run.get("signs") or {}).get("teaching") or []
        self._opposed = {frozenset((one, other)) for one, other, _ in taught}

    @property
    def names(self) -> list[str]:
        """All of them; none where there is one model only."""
        return list(self._trainers)

    def of(self, *paths: str) -> str:
        """The model that modules or parameters of these names belong to."""
        return next((p for p in self._trainers for path in paths if path == p or path.startswith(p + ".")), "")

    def adversaries(self, one: str, other: str) -> bool:
        """Whether one is trained through the other, which is not trained then: as in adversarial training."""
        pairs = {frozenset((a, b)) for a in self._trainers.get(one, ()) for b in self._trainers.get(other, ())}
        return one != other and bool(pairs & self._opposed)


class Graph:
    """The forward graph, with answers to what rules ask of it."""

    def __init__(self, rows: Rows) -> None:
        self.nodes = {
            row["id"]: Node(row["id"], row, row["name"], tuple(row["inputs"]), tuple(row["parameters"]))
            for row in rows["operation"]
        }
        for node in self.nodes.values():
            for each in node.inputs:
                if each in self.nodes and each != node.index:
                    self.nodes[each].consumers.append(node.index)
        self.roots = [i for i in rows.run.get("backward_roots") or [] if i in self.nodes]
        self._dimensions = {row["name"]: row["shape"] for row in rows["parameter"]}
        self._models = Models(rows)

    def kind(self, node: Node) -> str | None:
        """ "linear", "conv", ... of an operation that holds a weight, else None."""
        if node.name in NORMS:
            return "norm"
        if not any(len(self._dimensions.get(p, ())) > 1 for p in node.parameters):
            return None
        if node.name.startswith("conv"):
            return "conv"
        if node.name.startswith(("lstm", "gru", "rnn")):
            return "recurrent"
        return _KINDS.get(node.name)

    def weight(self, node: Node) -> str:
        """The name of its weight."""
        wide = [p for p in node.parameters if len(self._dimensions.get(p, ())) > 1]
        return (wide or list(node.parameters) or [""])[0]

    def weighted(self, node: Node) -> bool:
        """Whether it is a layer that a signal path ends at: weighted, and no norm."""
        return self.kind(node) not in (None, "norm")

    @property
    def sees_weights(self) -> bool:
        """Whether any operation that takes a parameter was recorded."""
        return any(node.parameters and not self.copies(node) for node in self.nodes.values())

    @cached_property
    def layers(self) -> list[Node]:
        """Weighted and norm operations in forward order, each weight once."""
        seen: set[str] = set()
        found = []
        for node in self.nodes.values():
            if self.kind(node) is None:
                continue
            key = self.weight(node) or f"{node.row['module']}:{node.index}"
            if key not in seen:
                seen.add(key)
                found.append(node)
        return found

    def model(self, node: Node) -> str:
        """What the names of its model begin with, where several models are told apart by it; else ""."""
        return self._models.of(node.row["module"], *node.parameters)

    @cached_property
    def chains(self) -> dict[str, str]:
        """For every model the first one of its chain: models feed each other, and do not work against each other."""
        first = {name: name for name in self._models.names}
        for node in self.nodes.values():
            mine = self.model(node)
            for each in self.after(node) if mine and self.weighted(node) else ():
                other = self.model(each)
                if other and self.weighted(each) and first[other] != first[mine]:
                    first = {name: first[mine] if at == first[other] else at for name, at in first.items()}
        return first

    def after(self, node: Node) -> Iterator[Node]:
        """What its output goes through, breadth first, up to and with the next weighted layers and losses.

        What a model makes of it that works against this one is not looked at.
        """
        queue, seen = list(node.consumers), {node.index}
        while queue:
            index = queue.pop(0)
            if index in seen:
                continue
            seen.add(index)
            here = self.nodes[index]
            if self._models.adversaries(self.model(node), self.model(here)):
                continue
            yield here
            if not self.weighted(here) and here.name not in LOSSES:
                queue.extend(here.consumers)

    def direct(self, node: Node) -> Iterator[Node]:
        """The next operations that do more than change a shape."""
        queue, seen = list(node.consumers), {node.index}
        while queue:
            index = queue.pop(0)
            if index in seen:
                continue
            seen.add(index)
            here = self.nodes[index]
            if here.name in SHAPE_ONLY:
                queue.extend(here.consumers)
            else:
                yield here

    def before(self, node: Node) -> Iterator[Node]:
        """What feeds its first input, nearest first, to the nearest layer and with it; no shape-only operations."""
        here: Node | None = self.nodes.get(node.inputs[0]) if node.inputs else None
        seen: set[int] = set()
        while here is not None and here.index not in seen and len(seen) < 64:
            seen.add(here.index)
            if here.name not in SHAPE_ONLY:
                yield here
            if self.weighted(here):
                return
            here = self.nodes.get(here.inputs[0]) if here.inputs else None

    def head(self, node: Node) -> list[Node]:
        """Everything that feeds it behind the last layers on each way to it; no layers."""
        found: dict[int, Node] = {}
        queue = list(node.inputs)
        while queue:
            index = queue.pop()
            here = self.nodes.get(index)
            if here is not None and index not in found and not self.weighted(here):
                found[index] = here
                queue.extend(here.inputs)
        return list(found.values())

    def is_output(self, node: Node) -> bool:
        """Its result reaches the loss, or leaves the graph, with no further layer."""
        return not any(self.weighted(each) for each in self.after(node))

    def gates(self, node: Node) -> bool:
        """Its output multiplies another signal."""
        return any(each.name in GATING and len(set(each.inputs)) > 1 for each in self.direct(node))

    def activation_of(self, node: Node) -> str | None:
        """The function that the layer's output goes through before the next layer."""
        for each in self.after(node):
            if self.weighted(each) or each.name in LOSSES:
                return None
            if each.name in ACTIVATIONS:
                return each.name
        return None

    def normalized(self, node: Node) -> bool:
        """A norm layer stands between it and the next layer."""
        return any(each.name in NORMS for each in self.after(node))

    def norm_behind(self, node: Node) -> str | None:
        """The norm that alone takes a linear or convolution layer's output, with nothing between."""
        next_ = list(self.direct(node)) if self.kind(node) in ("linear", "conv") else []
        return next_[0].name if next_ and all(each.name in NORMS for each in next_) else None

    def residual(self, node: Node) -> bool:
        """Its output is added to another signal before the next layer."""
        return any(each.name == "add" and len(set(each.inputs)) > 1 for each in self.after(node))

    @cached_property
    def branches(self) -> frozenset[int]:
        """Operations within a residual branch: what they give is added to a signal that they descend from."""
        found: set[int] = set()
        for node in self.nodes.values():
            if node.name == "add" and len(set(node.inputs)) == 2:
                for skip, end in (node.inputs, node.inputs[::-1]):
                    before = self.ancestors([end])
                    if skip in before:
                        found |= before & {each.index for each in self.descendants([skip])} - {skip}
        return frozenset(found)

    def losses(self) -> list[Node]:
        """Loss operations that backward reaches; all, if it is not known where backward began."""
        found = [node for node in self.nodes.values() if node.name in LOSSES]
        if not self.roots:
            return found
        reached = self.ancestors(self.roots)
        return [node for node in found if node.index in reached]

    def ancestors(self, roots: list[int]) -> set[int]:
        """Every operation that these descend from, themselves included."""
        seen: set[int] = set()
        queue = list(roots)
        while queue:
            index = queue.pop()
            if index not in seen and index in self.nodes:
                seen.add(index)
                queue.extend(self.nodes[index].inputs)
        return seen

    def descendants(self, starts: list[int]) -> list[Node]:
        """Every operation that descends from these, nearest first, themselves included."""
        seen: dict[int, None] = {}
        queue = list(starts)
        while queue:
            index = queue.pop(0)
            if index not in seen:
                seen[index] = None
                queue.extend(self.nodes[index].consumers)
        return [self.nodes[index] for index in seen]

    def cut_after(self, parameter: str) -> Node | None:
        """The operation that takes the parameter's influence out of the graph: its result needs no gradient.

        None where another way leads to the loss. A copy that is taken of the parameter itself, and a count for a
        metric, cut nothing off unless the loss depends on them.
        """
        cuts: list[Node] = []
        behind = self._behind_roots
        queue, seen = [node for node in self.nodes.values() if parameter in node.parameters], set[int]()
        while queue:
            node = queue.pop(0)
            aside = (self.copies(node) or node.name in DISCRETE) and node.index not in behind
            if node.index in seen or aside:
                continue
            seen.add(node.index)
            if not node.row["differentiable"]:
                cuts.append(node)
            else:
                queue.extend(self.nodes[index] for index in node.consumers)
        # Under functional_call the copies go by the parameter's name, so that its own way seems to go on.
        copy = next((node for node in cuts if self.copies(node)), None)
        reached = any(index in seen and self.nodes[index].row["differentiable"] for index in self.roots)
        return copy or (cuts[0] if cuts and not reached else None)

    @cached_property
    def _behind_roots(self) -> set[int]:
        return self.ancestors(self.roots)

    def copies(self, node: Node) -> bool:
        """Whether it only takes a copy of a parameter."""
        return node.name in COPYING and bool(node.parameters) and not node.inputs

    @cached_property
    def copied_only(self) -> frozenset[str]:
        """Parameters that no recorded operation takes, but for copies."""
        copied = {p for node in self.nodes.values() if self.copies(node) for p in node.parameters}
        return frozenset(copied - {p for node in self.nodes.values() if not self.copies(node) for p in node.parameters})


def layer_name(graph: Graph, node: Node) -> str:
    """What a layer is called: its module's path, else its weight's name."""
    weight = graph.weight(node)
    owner = weight.rpartition(".")[0]
    if node.row["module"] and (not weight or owner.startswith(node.row["module"])):
        return str(node.row["module"])
    return owner or weight or str(node.row["module"]) or node.name
