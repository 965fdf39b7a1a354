"""The loss over the user's own steps, with what was scored on held-out samples, the rate and the gradient's norm."""

import math
from collections.abc import Sequence

import numpy as np

from dnndoctor.measurements import Clipping, Gradients, History, Steps
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.html.figures.lines import Curve, Panel, few, stacked, thinned
from dnndoctor.reports.words import figure as number
from dnndoctor.reports.words import plural

TITLE = "Loss over the observed steps"
SMOOTHED = 16  # steps from which on a line through single batches' losses hides the course


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where no step was observed."""
    steps, history = taken(measurements, Steps), taken(measurements, History)
    if steps is None or not len(steps.step):
        return None
    at, losses = [int(each) for each in steps.step], [float(each) for each in steps.loss]
    panels = [_losses(at, losses, history), *_rates(at, steps), *_norms(measurements)]
    kept = few(len(at), keep=[i for i, each in enumerate(losses) if not math.isfinite(each)])
    shown = f" The table has {len(kept)} of them." if len(kept) < len(at) else ""
    return drawn(
        "loss",
        TITLE,
        _caption(at, losses) + _held_out(history) + shown,
        stacked(panels, "optimizer step"),
        ("step", "loss", "learning rate"),
        ((number(at[i]), number(losses[i]), number(float(steps.learning_rate[i]))) for i in kept),
        {
            "loss",
            "numerics",
            "learning-rate",
            "gradients",
            "training-loop",
            "epochs",
            "visualisation",
            "weight-initialization",
        },
        {Steps, History},
        section="course",
    )


def _caption(at: list[int], losses: list[float]) -> str:
    broken = [step for step, value in zip(at, losses, strict=True) if not math.isfinite(value)]
    if broken:
        return f"The loss is not finite from step {broken[0]} on, in {plural(len(broken), 'step')}."
    few_at_each_end = max(len(losses) // 10, 1)  # one batch's loss is mostly chance
    first, last = float(np.median(losses[:few_at_each_end])), float(np.median(losses[-few_at_each_end:]))
    verb = "falls" if last < first else "rises" if last > first else "stays"
    return f"The loss {verb} from {number(first)} to {number(last)} over {plural(len(losses), 'step')}."


def _held_out(history: History | None) -> str:
    if history is None or not len(history.validation_loss):
        return ""
    scored = history.validation_loss
    best = int(np.argmin(scored))
    lowest = f"at step {number(int(history.validation_step[best]))}"
    last = f", {number(float(scored[-1]))} at the last" if best < len(scored) - 1 else ", the last one"
    return f" On held-out samples it is lowest {lowest}: {number(float(scored[best]))}{last}."


def _losses(at: list[int], losses: list[float], history: History | None) -> Panel:
    if len(losses) < SMOOTHED:
        curves = [Curve("training", at, losses)]
    else:
        few_at, typical, *_ = thinned(Curve("", at, losses))  # what is smoothed of a long run are these medians
        curves = [
            Curve("one batch", at, losses, "quiet", dots=False),
            Curve("training, smoothed", few_at, smoothed(typical), dots=False),
        ]
    if history is not None and len(history.validation_loss):
        steps, scored = [float(v) for v in history.validation_step], [float(v) for v in history.validation_loss]
        curves.append(Curve("held out", steps, scored, "other"))
    usable = [each for each in losses if math.isfinite(each)]
    # A loss that runs away over decades is a flat line and a spike on a linear axis.
    log = bool(usable) and min(usable) > 0 and max(usable) > 100 * min(usable)
    return Panel("loss", tuple(curves), log)


def smoothed(values: Sequence[float]) -> list[float]:
    """The median of the neighbours on both sides: a mean of the past alone shifts every bend to later steps."""
    array = np.asarray(values, float)
    array = np.where(np.isfinite(array), array, np.nan)
    half = max(len(array) // 24, 1)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(array, half, constant_values=np.nan), 2 * half + 1)
    seen = np.isfinite(array)
    out = np.full(len(array), np.nan)
    out[seen] = np.nanmedian(windows[seen], axis=1)
    return [float(each) for each in out]


def _rates(at: list[int], steps: Steps) -> list[Panel]:
    rates = [float(each) for each in steps.learning_rate]
    usable = [each for each in rates if math.isfinite(each)]
    if not usable or max(usable) - min(usable) <= 1e-9 * abs(max(usable)):
        return []
    return [Panel("learning rate", (Curve("", at, rates, dots=False),), height=70.0)]


def _norms(measurements: Measurements) -> list[Panel]:
    gradients, clipping = taken(measurements, Gradients), taken(measurements, Clipping)
    if gradients is None or not np.isfinite(gradients.norm).any():
        return []
    limits = [float(each) for each in clipping.limit if math.isfinite(each)] if clipping else []
    levels = ((float(np.median(limits)), "clipped to"),) if limits else ()
    curve = Curve("", [float(v) for v in gradients.steps], [float(v) for v in gradients.norm], dots=False)
    return [Panel("gradient norm", (curve,), references=levels, height=70.0)]
