"""The loss over the user's own steps."""

import math

from dnndoctor.measurements import Steps
from dnndoctor.reports.html.figures.chart import (
    WIDTH,
    Scale,
    cross,
    dot,
    drawing,
    finite,
    polyline,
    runs,
    x_axis,
    y_axis,
)
from dnndoctor.reports.html.figures.figure import Figure, Measurements, taken
from dnndoctor.reports.words import figure as number
from dnndoctor.reports.words import plural

TITLE = "Loss over the observed steps"
LEFT, RIGHT, TOP, BOTTOM, HEIGHT = 64, WIDTH - 20, 30, 242, 290


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where no step was observed."""
    steps = taken(measurements, Steps)
    if steps is None or not len(steps.step):
        return None
    at, losses = [int(each) for each in steps.step], [float(each) for each in steps.loss]
    caption = _caption(at, losses)
    rates = [float(each) for each in steps.learning_rate]
    return Figure(
        "figure-loss",
        TITLE,
        caption,
        drawing("figure-loss", HEIGHT, TITLE, caption, _body(at, losses)),
        ("step", "loss", "learning rate"),
        tuple((number(n), number(v), number(r)) for n, v, r in zip(at, losses, rates, strict=True)),
        frozenset({"loss", "numerics", "learning-rate", "gradients", "training-loop"}),
        frozenset({Steps}),
    )


def _caption(at: list[int], losses: list[float]) -> str:
    broken = [step for step, value in zip(at, losses, strict=True) if not math.isfinite(value)]
    if broken:
        return f"The loss is not finite from step {broken[0]} on, in {plural(len(broken), 'step')}."
    way = f"from {number(losses[0])} to {number(losses[-1])}"
    verb = "falls" if losses[-1] < losses[0] else "rises" if losses[-1] > losses[0] else "stays"
    return f"The loss {verb} {way} over {plural(len(losses), 'step')}."


def _body(at: list[int], losses: list[float]) -> list[str]:
    usable = finite(losses)
    # A loss that runs away over decades is a flat line and a spike on a linear axis.
    log = bool(usable) and min(usable) > 0 and max(usable) > 100 * min(usable)
    x = Scale.fit([float(each) for each in at], LEFT, RIGHT)
    y = Scale.fit(losses, BOTTOM, TOP, log=log)
    body = [x_axis(x, BOTTOM, "optimizer step"), y_axis(y, LEFT, RIGHT, "loss (logarithmic)" if log else "loss")]
    body += [polyline([(x(a), y(b)) for a, b in each]) for each in runs([float(n) for n in at], losses, log=log)]
    for step, value in zip(at, losses, strict=True):
        hint = f"step {step}: loss {number(value)}"
        drawn = math.isfinite(value) and (value > 0 or not log)
        body.append(dot(x(step), y(value), hint, radius=2.5) if drawn else cross(x(step), TOP, hint))
    return body
