"""What the scan of the data found, and what an epoch comes to, from the rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.graph import Graph
from dnndoctor.recording.reader import Row, Rows, place, role, training_call
from dnndoctor.recording.sweeps import probe

CHOOSING = ("cross_entropy", "nll_loss", "multi_margin_loss")
DRAWS = 64


def data_scan(rows: Rows, graph: Graph) -> m.DataScan | Missing:
    """Everything about the samples."""
    facts = probe(rows, "data-scan")
    if isinstance(facts, Missing):
        return facts
    at = training_call(rows)
    doubts = {k: v for k, v in facts["suspects"].items() if k in m.SuspectLabels.__dataclass_fields__}
    doubts["location"] = place(doubts.get("location")) or at
    doubts["indices"] = tuple(doubts.get("indices", ()))
    return m.DataScan(
        sets=tuple(_set(each, at) for each in facts["sets"]),
        overlaps=tuple(_overlap(each, at) for each in facts["overlaps"]),
        suspects=m.SuspectLabels(**doubts),
        loss_targets=_loss_targets(rows, graph, facts["loss_targets"]),
        batch_leak=_leak(facts["batch_leak"]),
        padding_known=tuple((rows.facts("window", "name", "padding") or {}).get("ways", ())),
    )


def _set(facts: Row, at: Any) -> m.SampleSet:
    given = facts.get("input") or {}
    table, odd, twins, pad = given.get("table"), given.get("samples"), facts.get("twins"), given.get("padding")
    return m.SampleSet(
        role=facts["role"],
        loader=facts["loader"],
        location=place(facts["location"]) or at,
        dataset=facts["dataset"],
        length=facts["length"],
        scanned=facts["scanned"],
        source=facts["source"],
        input_kind=given.get("kind", "other"),
        input_shape=tuple(given.get("shape", ())),
        targets=_targets(facts["target"]) if facts["target"] else None,
        features=_features(table) if table else None,
        odd=m.OddSamples(**_tuples(odd)) if odd else None,
        twins=m.Twins(**{**twins, "first": tuple((a, b) for a, b in twins["first"])}) if twins else None,
        leak=_leak(facts.get("leak")),
        padding=m.TokenPadding(**pad) if pad else None,
        repeatable=facts["repeatable"],
    )


def _tuples(facts: Row) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}


def _targets(facts: Row) -> m.Targets:
    return m.Targets(
        kind=facts["kind"],
        shape=tuple(facts["shape"]),
        classes=tuple((value, count) for value, count in facts.get("classes", ())),
        mean=facts.get("mean", 0.0),
        std=facts.get("std", 0.0),
        low=facts.get("min", 0.0),
        high=facts.get("max", 0.0),
    )


def _features(facts: Row) -> m.Features:
    return m.Features(
        count=facts["features"],
        constant=tuple((int(index), value) for index, value in facts["constant"]),
        constants=facts["constants"],
        filled=tuple(m.Filled(int(i), *rest) for i, *rest in facts["filled"]),
        sparse=facts["sparse"],
        binary=facts["binary"],
    )


def _leak(facts: Row | None) -> m.Leak | None:
    if facts is None:
        return None
    keep = {k: v for k, v in facts.items() if k in m.Leak.__dataclass_fields__}
    return m.Leak(**{**keep, "location": place(facts.get("location"))})


def _overlap(facts: Row, at: Any) -> m.Overlap:
    return m.Overlap(
        location=place(facts["location"]) or at,
        training_location=place(facts["training_location"]) or at,
        shared=facts["shared"],
        looked_at=facts["looked_at"],
        by=facts["by"],
        whole=facts["whole"],
        natural=facts["natural"],
        loader=facts["evaluation"] is not None,
        training_share=facts["training_scanned"] / max(facts["training_length"], 1),
    )


def _loss_targets(rows: Rows, graph: Graph, listed: list[Row]) -> tuple[m.LossTargets, ...]:
    sizes = {r["batch_size"] for r in rows["step"] if r["batch_size"]}
    found = []
    for facts in listed:
        name = facts["name"].removeprefix("target of ")
        nodes = [n for n in graph.losses() if n.name == name]
        if len({(n.row["location"], *n.row["input_shape"][1:]) for n in nodes}) != 1:
            continue  # several losses of one kind: which of them these targets are of is not told
        node = nodes[0]
        row, attributes = node.row, node.row["attributes"]
        shape = row["input_shape"]
        behind = {each.name for each in graph.after(node)}
        weighted = "class_weights" in attributes or attributes.get("reduction") == "none" or "pow" in behind
        found.append(
            m.LossTargets(
                function=name,
                location=row["location"],
                kind=facts["kind"],
                values=tuple((value, count) for value, count in facts["values"]),
                per_sample=bool(facts["shape"]) and facts["shape"][0] in sizes,
                classes=(shape[1] if len(shape) > 1 else shape[0]) if name in CHOOSING and shape else 0,
                ignored=attributes.get("ignore_index", -100),
                weighted=weighted,
            )
        )
    return tuple(found)


def refused(rows: Rows) -> m.RefusedTargets | Missing:
    """The targets that a loss raised on."""
    facts = rows.run.get("refused")
    if not facts:
        return Missing("no loss raised on its targets")
    return m.RefusedTargets(
        m.LossTargets(
            function=facts["name"],
            location=place(facts["location"]),
            kind=facts["kind"],
            values=tuple((value, count) for value, count in facts["values"]),
            per_sample=len(facts["shape"]) == 1,
            classes=facts["classes"],
            ignored=facts["ignored"],
        )
    )


def epochs(rows: Rows) -> m.Epochs | Missing:
    """The loaders' epochs."""
    facts = rows.facts("window", "name", "epochs")
    if facts is None:
        return Missing("no loader was iterated")
    known = {r["id"]: r for r in rows["loader"]}
    pairs = [(each, known[each["loader"]]) for each in facts["loaders"] if each["loader"] in known]
    name, values = _batch_norm(rows)
    return m.Epochs(
        loaders=tuple(_epoch(each, row) for each, row in pairs if each["epoch"] and each["batch_size"]),
        second_epochs=facts["second_epochs"],
        repeated=tuple(
            m.RepeatedOrder(place(each["location"]), each["sampler"], each["compared"]) for each in facts["repeated"]
        ),
        batch_norm=name,
        batch_norm_values=values,
    )


def _epoch(facts: Row, row: Row) -> m.LoaderEpoch:
    samples, size = facts["epoch"], facts["batch_size"]
    sizes = sorted(each[0] for each in facts["batches"])
    middle = sizes[len(sizes) // 2] if sizes else 0
    entropies = [each[1] for each in facts["batches"] if each[0] == middle]
    return m.LoaderEpoch(
        location=row["location"],
        role=role(row["facts"]),
        samples=samples,
        batch_size=size,
        last=samples % size or size,
        batches=samples // size,
        drop_last=row["facts"]["drop_last"],
        entropy=float(np.mean(entropies)) if entropies else 0.0,
        expected_entropy=_expected_entropy(facts["labels"], middle) if entropies else 0.0,
        watched=len(entropies),
        watched_size=middle,
        own_batches=facts["own_batches"],
    )


def _expected_entropy(labels: list[list[float]], size: int) -> float:
    """Of the labels of ``size`` samples drawn at random, in nats: few samples hold less than the whole."""
    counts = np.asarray([count for _, count in labels], np.float64)
    if len(counts) < 2 or not size:
        return 0.0
    drawn = np.random.default_rng(0).multinomial(size, counts / counts.sum(), DRAWS) / size
    logs = np.log(np.where(drawn > 0, drawn, 1.0))
    return float(-(drawn * logs).sum(axis=1).mean())


def _batch_norm(rows: Rows) -> tuple[str | None, int]:
    active = {path for r in rows["pass"] if r["facts"]["gradients"] for path in r["facts"]["active"]}
    for row in rows["operation"]:
        shape = row["input_shape"]
        if row["name"] == "batch_norm" and row["module"] in active and len(shape) >= 2:
            return row["module"], math.prod(shape[2:])
    return None, 1
