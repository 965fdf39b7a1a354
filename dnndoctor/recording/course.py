"""The run, its loop, its data and its optimizers, from the rows."""

from __future__ import annotations

import math

import numpy as np

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.family import SET, pretrained, recognised
from dnndoctor.recording.graph import Graph
from dnndoctor.recording.operations import MODE_DEPENDENT, NORMS
from dnndoctor.recording.reader import Rows, number, place, role, training_call

CUT_SHORT = 2  # numbers of calls in a step: all steps alike, and the one that was going on


def run(rows: Rows, chosen: str | None = None) -> m.Run:
    """The run as a whole; ``chosen`` is the family that the user names, if they do."""
    run = rows.run
    family, reason = recognised(rows, chosen)
    return m.Run(
        device=run.get("device") or "cpu",
        accelerator=run.get("accelerator"),
        steps=len(rows["step"]),
        pretrained=pretrained(rows) or (family, reason) == ("fine-tuning", SET),
        family=family,
        models=tuple(r["class"] for r in rows["module"] if r["parameters"]),
        parameters=sum(math.prod(r["shape"]) for r in rows["parameter"]),
        wall_seconds=run.get("wall_seconds") or 0.0,
        torch_version=run.get("torch_version") or "",
        python_version=run.get("python_version") or "",
        whole=run.get("ending") == "finished" and bool(run.get("saw_all")),
    )


def optimizers(rows: Rows) -> m.Optimizers | Missing:
    """Every optimizer."""
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


def training_data(rows: Rows, graph: Graph) -> m.TrainingData | Missing:
    """Inputs and targets."""
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
    if taker is None:
        return m.TrainingData(tuple(found))
    return m.TrainingData(tuple(found), graph.kind(taker) or "norm", graph.norm_behind(taker))


def loaders(rows: Rows) -> m.Loaders | Missing:
    """Every loader, and the batch."""
    found = []
    for row in rows["loader"]:
        facts = row["facts"]
        keep = {k: v for k, v in facts.items() if k in m.Loader.__dataclass_fields__}
        shuffle = place(facts.get("shuffle_location"))
        keep.pop("shuffle_location", None)
        found.append(m.Loader(location=row["location"], role=role(facts), shuffle_location=shuffle, **keep))
    steps = rows["step"]
    sizes = sorted(r["batch_size"] for r in steps if r["batch_size"])
    if not sizes:
        return Missing("no batch was seen at the model")
    training = [each for each in found if each.role == "training"]
    length = max((each.length or 0 for each in training), default=0) or None
    waited = sum(r["data_seconds"] for r in steps[1:])
    worked = sum(r["compute_seconds"] for r in steps[1:])
    clearing = rows["clearing"]
    seen: dict[str, int] = rows.facts("window", "name", "sample-shapes") or {}
    return m.Loaders(
        loaders=tuple(found),
        batch_size=sizes[len(sizes) // 2],
        dataset_length=length,
        accumulation=max((clearing[0]["facts"]["backwards"] if clearing else 1), 1),
        wait_share=waited / (waited + worked) if waited + worked > 0 else 0.0,
        batch_location=training[0].location if training else training_call(rows),
        uniform=seen.get("shapes", 1) <= 1 and seen.get("lengths", 1) <= CUT_SHORT,
    )


def steps(rows: Rows) -> m.Steps:
    """The user's own steps."""
    steps = rows["step"]
    columns = ("loss", "learning_rate", "data_seconds", "compute_seconds")
    arrays = {key: np.asarray([number(r[key]) for r in steps]) for key in columns}
    return m.Steps(
        step=np.asarray([r["step"] for r in steps], np.int64),
        location=place(rows.run.get("backward_location")),
        **arrays,
    )


def modes(rows: Rows) -> m.Modes | Missing:
    """Passes by mode."""
    if not rows["pass"]:
        return Missing("no forward pass of a module was seen")
    roles = {r["id"]: role(r["facts"]) for r in rows["loader"]}
    found = []
    for row in rows["pass"]:
        facts = row["facts"]
        use = roles.get(facts["loader"])
        if facts["gradients"] and facts["trained"]:
            purpose = "training"
        elif not facts["gradients"] or use == "evaluation":
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
                same_input=facts["longest_run"] >= 5,
                training_data=use == "training",
            )
        )
    functional = any(
        r["name"] in MODE_DEPENDENT and not r["module_class"].startswith(("Dropout", "BatchNorm", "LazyBatchNorm"))
        for r in rows["operation"]
    )
    return m.Modes(tuple(found), bool(rows.run.get("mode_layers")), functional)


def clearings(rows: Rows) -> m.Clearings | Missing:
    """How gradients are cleared."""
    found = []
    for row in rows["clearing"]:
        facts = dict(row["facts"])
        for key in ("step_location", "backward_location", "zero_location"):
            facts[key] = place(facts[key])
        facts["callers"] = tuple(at for each in facts.get("callers", ()) if (at := place(each)) is not None)
        found.append(m.Clearing(location=row["location"], **facts))
    return m.Clearings(tuple(found)) if found else Missing("no optimizer made a step")


def finiteness(rows: Rows) -> m.Finiteness:
    """The first value that is not finite."""
    checked = len({r["step"] for r in rows["gradient"]})
    event = next((r for r in rows["event"] if r["kind"] == "non-finite"), None)
    if event is None:
        return m.Finiteness(checked)
    facts = {k: v for k, v in event["facts"].items() if k in m.NonFinite.__dataclass_fields__}
    facts["loss_before"] = tuple(facts.get("loss_before", ()))
    return m.Finiteness(checked, m.NonFinite(step=event["step"], location=event["location"], **facts))
