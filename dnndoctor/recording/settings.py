"""What layers were told when they were built, from the rows; and what came of it."""

from __future__ import annotations

from dnndoctor import measurements as m
from dnndoctor.findings import Location
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.graph import Graph, Node
from dnndoctor.recording.operations import NORMS
from dnndoctor.recording.reader import Row, Rows, place

_READING = frozenset(("getitem", "select", "narrow", "index_select", "unbind"))


def layer_settings(rows: Rows, graph: Graph) -> m.LayerSettings | Missing:
    """Norm, recurrent and dropout layers."""
    if not rows["operation"]:
        return Missing("no forward pass was watched")
    layers = (rows.facts("window", "name", "layer-settings") or {}).get("layers", {})
    parameters = {row["name"]: row for row in rows["parameter"]}
    first = {row["operation"]: row for row in sorted(rows["activation"], key=lambda r: -r["step"])}
    nodes: dict[str, Node] = {}
    for node in (each for each in graph.nodes.values() if graph.kind(each) or each.name in NORMS):
        nodes.setdefault(str(node.row["module"]), node)
    norms, recurrent, dropouts = [], [], []
    for name, facts in layers.items():
        settings, kind, at = facts["settings"], facts["class"], place(facts["location"])
        if "num_layers" in settings:
            recurrent.append(_recurrent(name, facts, parameters, graph, nodes.get(name)))
        elif settings.get("eps") is not None:
            given = parameters.get(f"{name}.weight", {}).get("facts", {}).get("mean", 1.0)
            std = first.get(nodes[name].index, {}).get("std") if name in nodes else None
            norms.append(m.NormSetting(name, kind, at, settings["eps"], std / given if std and given else None))
        elif "p" in settings:
            dropouts.append(m.DropoutSetting(name, kind, at, settings["p"], facts["called"]))
    return m.LayerSettings(tuple(norms), tuple(recurrent), tuple(dropouts))


def _recurrent(
    name: str, facts: Row, parameters: dict[str, Row], graph: Graph, node: Node | None
) -> m.RecurrentSetting:
    settings = facts["settings"]
    ends = {
        way: parameters.get(f"{name}.weight_hh_l{settings['num_layers'] - 1}{suffix}")
        for way, suffix in (("forward", ""), ("reverse", "_reverse"))
    }
    fed = {way: _fed(row, parameters) for way, row in ends.items() if row}
    still = [way for way, row in ends.items() if row and fed[way] and not row["facts"]["received_gradient"]]
    both = all(row is not None and row["trainable"] for row in ends.values())
    counted = [row["facts"]["effective_steps"] for row in ends.values() if row]
    return m.RecurrentSetting(
        name=name,
        kind=facts["class"],
        location=place(facts["location"]),
        layers=int(settings["num_layers"]),
        dropout=float(settings.get("dropout") or 0.0),
        bidirectional=bool(settings.get("bidirectional")),
        batch_first=bool(settings.get("batch_first")),
        hidden_size=int(settings.get("hidden_size") or 0),
        still=still[0] if both and len(still) == 1 else None,
        steps=min(counted, default=0),
        read_at=_read_at(graph, node) if node else None,
    )


def _fed(row: Row, parameters: dict[str, Row]) -> bool:
    """Whether the direction's input weights got a gradient: it is used, if only for one step."""
    beside = parameters.get(row["name"].replace("_hh_", "_ih_"))
    return beside is not None and bool(beside["facts"]["received_gradient"])


def _read_at(graph: Graph, node: Node) -> Location | None:
    for each in graph.after(node):
        if each.name in _READING:
            place_: Location | None = each.row["location"]
            return place_
    return None
