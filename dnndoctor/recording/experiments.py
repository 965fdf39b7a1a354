"""What the experiments in the loop found, from the rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.graph import Graph
from dnndoctor.recording.operations import PICKING
from dnndoctor.recording.reader import Row, Rows, number
from dnndoctor.recording.sweeps import probe


def one_batch(rows: Rows) -> m.OneBatch | Missing:
    """One batch by heart."""
    facts = probe(rows, "overfit-one-batch")
    if isinstance(facts, Missing):
        return facts
    trials = tuple(
        m.OneBatchTrial(**{**each, "final": _figure(each["final"]), "curve": _curve(each["curve"])})
        for each in facts["trials"]
    )
    known = {key: facts.get(key) for key in ("samples", "contradicting", "entropy", "variance")}
    return m.OneBatch(trials, **known)


def blanked_inputs(rows: Rows, graph: Graph) -> m.BlankedInputs | Missing:
    """Zeros in the place of the data."""
    facts = probe(rows, "blanked-inputs")
    if isinstance(facts, Missing):
        return facts
    return m.BlankedInputs(
        rate=facts["rate"],
        steps=facts["steps"],
        start=_figure(facts["start"]),
        real=_figure(facts["real"]),
        blank=_figure(facts["blank"]),
        gap_error=number(facts["gap_error"]),
        change=facts["change"],
        paired=facts["paired"],
        quantized=any(node.name in PICKING and node.row["module"] for node in graph.nodes.values()),
        **_blanked_curves(rows, facts["steps"]),
    )


def _blanked_curves(rows: Rows, steps: int) -> dict[str, NDArray[np.float64]]:
    """The last two trials; one that was broken off began again under its number, and its last steps count."""
    trials: dict[float, list[float | None]] = {}
    for row in rows["trial"]:
        if row["probe"] == "blanked-inputs" and row["setting"] is not None:
            trials.setdefault(row["setting"], []).append(row["loss"])
    if len(trials) < 2:
        return {}
    real, blank = (trials[number][-steps:] for number in sorted(trials)[-2:])
    return {"real_curve": _curve(real), "blank_curve": _curve(blank)}


def noise(rows: Rows) -> m.TrainingNoise | Missing:
    """Chance."""
    facts = probe(rows, "noise")
    if isinstance(facts, Missing):
        return facts
    known = {key: value for key, value in facts.items() if key != "paired"}
    return m.TrainingNoise(**{**known, "scores": tuple(_figure(each) for each in facts["scores"])})


def learning_methods(rows: Rows) -> m.LearningMethods | Missing:
    """Methods side by side."""
    facts = probe(rows, "learning-method")
    if isinstance(facts, Missing):
        return facts
    methods = tuple(_method(each) for each in facts["methods"])
    return m.LearningMethods(facts["optimizer"], facts["steps"], methods, facts["paired"])


def _method(facts: Row) -> m.MethodRun:
    return m.MethodRun(
        name=facts["name"],
        own=facts["own"],
        rate=facts["rate"],
        curves=tuple(_curve(each) for each in facts["curves"]),
        scores=tuple(_figure(each) for each in facts["scores"]),
    )


def _figure(value: float | None) -> float:
    """A loss; what is not finite has diverged."""
    figure = number(value)
    return figure if math.isfinite(figure) else math.inf


def _curve(losses: list[float | None]) -> NDArray[np.float64]:
    return np.asarray([number(each) for each in losses], np.float64)
