"""Training on one batch again and again: the loss should all but vanish."""

import math

from dnndoctor.measurements import OneBatch, OneBatchTrial
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.html.figures.lines import Curve, Panel, ceiling, stacked
from dnndoctor.reports.words import figure as number

TITLE = "One batch, again and again"
KINDS = ("own", "other", "third", "quiet")


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where no batch could be served again."""
    tried = taken(measurements, OneBatch)
    if tried is None or not any(len(each.curve) for each in tried.trials):
        return None
    return drawn(
        "one-batch",
        TITLE,
        _caption(tried),
        stacked([_panel(tried)], "step on the same batch"),
        ("learning rate", "dropout", "steps", "loss before", "loss at the end"),
        (_row(each) for each in tried.trials),
        {"capacity", "training-loop", "loss", "training-data", "gradients"},
        {OneBatch},
    )


def _row(trial: OneBatchTrial) -> tuple[str, ...]:
    end = number(trial.final) if math.isfinite(trial.final) else "diverged"
    return number(trial.rate), "as it is" if trial.dropout else "off", number(trial.steps), number(trial.start), end


def _floor(tried: OneBatch) -> float:
    """What samples that differ in nothing but the target cost any model."""
    return max(tried.entropy or 0.0, tried.variance or 0.0)


def _caption(tried: OneBatch) -> str:
    best = tried.best
    if not math.isfinite(best.final):
        return "On one batch alone training diverges at every rate that was tried."
    way = f"from {number(best.start)} to {number(best.final)} in {best.steps} steps at {number(best.rate)}"
    floor = f" Samples that contradict each other cost {number(_floor(tried))} of it." if _floor(tried) > 0 else ""
    if best.learned:
        return f"The model learns one batch by heart: the loss falls {way}.{floor}"
    return f"The loss of one batch, seen again and again, goes {way}; a tenth of the start was asked for.{floor}"


def _panel(tried: OneBatch) -> Panel:
    trials = tried.trials
    curves = []
    for index, each in enumerate(trials):
        stride = max(each.steps // max(len(each.curve), 1), 1)
        name = f"rate {number(each.rate)}" + ("" if each.dropout else ", no dropout")
        at = [float(i * stride) for i in range(len(each.curve))]
        curves.append(Curve(name, at, [float(v) for v in each.curve], KINDS[min(index, 3)], dots=False))
    start = trials[0].start
    levels = [(start / 10, "learned: a tenth of the start")] if start > 0 else []
    if _floor(tried) > 0:
        levels.append((_floor(tried), "what contradicting samples cost"))
    values = [v for each in curves for v in each.y]
    return Panel("loss", tuple(curves), None, tuple(levels), ceiling(start, values), zero=True)
