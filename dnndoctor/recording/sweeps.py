"""What the probes found, from the rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.reader import Row, Rows, number, place, training_call

_ENDINGS = {
    "budget": "the time budget was used up",
    "exception": "the script failed",
    "exit": "the script failed",
    "failed": "the watch failed",
    "finished": "the script ended",
    "interrupted": "the examination was interrupted",
    "stopped": "the script ended",
}


def learning_rate(rows: Rows) -> m.LearningRateSweep | Missing:
    """The learning-rate sweep."""
    facts = probe(rows, "learning-rate")
    if isinstance(facts, Missing):
        return facts
    facts = dict(facts)
    for key in ("rates", "scores"):
        facts[key] = np.asarray(facts[key], np.float64)
    facts["usable"] = tuple(facts["usable"])
    return m.LearningRateSweep(**facts, curves=_rate_curves(rows, facts["rates"], facts["steps"]))


def _rate_curves(rows: Rows, rates: Iterable[float], steps: int) -> tuple[NDArray[np.float64], ...]:
    """Of each rate the trial of the last round that it was in: its last steps without another's in between."""
    stretches: dict[float, list[tuple[int, float]]] = {}
    for row in rows["trial"]:
        if row["probe"] == "learning-rate" and row["setting"] is not None:
            stretches.setdefault(row["setting"], []).append((row["step"], number(row["loss"])))
    return tuple(_last_stretch(sorted(stretches.get(float(rate), [])), steps) for rate in rates)


def _last_stretch(losses: list[tuple[int, float]], steps: int) -> NDArray[np.float64]:
    begin = max((i for i in range(1, len(losses)) if losses[i][0] != losses[i - 1][0] + 1), default=0)
    return np.asarray([loss for _, loss in losses[begin:]][-steps:], np.float64)


def batch_size(rows: Rows) -> m.BatchSweep | Missing:
    """The batch-size sweep."""
    facts = probe(rows, "batch-size")
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
    peaks = [max(number(r["peak_bytes"]) for r in by_size[s]) for s in sizes]
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


def sample_order(rows: Rows) -> m.SampleOrder | Missing:
    """Whether the order of the samples tells something."""
    facts = probe(rows, "sample-order")
    if isinstance(facts, Missing):
        return facts
    recurrent = any(r["name"].startswith(("lstm", "gru", "rnn")) for r in rows["operation"])
    inputs = [r["facts"] for r in rows["dataset"] if r["facts"]["role"] == "input"]
    window = recurrent and not facts["classes"] and bool(inputs)
    facts = {**facts, "sequence": np.asarray(facts.get("sequence") or (), np.float64)}
    return m.SampleOrder(**{**facts, "location": place(facts["location"]) or training_call(rows), "recurrent": window})


def padding(rows: Rows) -> m.Padding | Missing:
    """Heavy layers at their own sizes and at rounded ones."""
    facts = probe(rows, "padded-dimensions")
    if isinstance(facts, Missing):
        return facts
    layers = []
    for each in facts["layers"]:
        timed = [(*one["sizes"], one["seconds"]) for one in each["variants"]]
        own, *padded = (m.Timed(inputs, outputs, tuple(seconds)) for inputs, outputs, seconds in timed)
        layers.append(m.PaddedLayer(each["layer"], each["share"], own, tuple(padded)))
    return m.Padding(tuple(layers), facts["step_seconds"])


def probe(rows: Rows, name: str) -> Row | Missing:
    """The facts that a probe wrote, or why there are none."""
    facts = rows.facts("probe", "name", name)
    if facts is None:
        if not rows.run.get("probes", True):
            return Missing("probes were switched off")
        if len(rows["step"]) < 2:
            return Missing("only 1 step was seen")
        ending = rows.run.get("ending")
        why = _ENDINGS.get(ending, "the examination was cut off") if ending else "the examination was cut off"
        return Missing(f"{why} before this was measured")
    if "missing" in facts:
        return Missing(facts["missing"] or "it could not be measured")
    return facts
