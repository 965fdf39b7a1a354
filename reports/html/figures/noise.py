"""How far a loss is chance, and the batch size at which a batch's gradient is as much signal as noise."""

import math

from dnndoctor.measurements import TrainingNoise
from dnndoctor.reports.html.figures.chart import brief
from dnndoctor.reports.html.figures.dots import Case, Point, plot
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.words import figure as number

TITLE = "Gradient noise scale"


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where it was not measured, or where no scale came of it."""
    noise = taken(measurements, TrainingNoise)
    if noise is None or noise.scale is None or noise.batch_size < 1:
        return None
    low, high = noise.scale_low or noise.scale, noise.scale_high or noise.scale
    if not math.isfinite(low):
        return None  # nothing to draw: the gradient does not stand clear of its noise at all
    ends = [_end(low), _end(noise.scale), _end(high)]
    return drawn(
        "noise-scale",
        TITLE,
        _caption(noise),
        _picture(noise, low, high),
        ("figure", "value"),
        (
            ("samples per step", number(noise.batch_size)),
            ("noise scale, lower end", ends[0]),
            ("noise scale", ends[1]),
            ("noise scale, upper end", ends[2]),
            *((f"loss, seed {i + 1}", number(each)) for i, each in enumerate(noise.scores)),
            ("spread of the loss over seeds", number(noise.spread)),
        ),
        {"batch-size", "learning-rate"},
        {TrainingNoise},
    )


def _end(value: float) -> str:
    return brief(value, 2) if math.isfinite(value) else "unbounded"


def _caption(noise: TrainingNoise) -> str:
    scale, size = noise.scale or 0.0, noise.batch_size
    spread = f" The same training ends within {number(noise.spread)} of itself from seed to seed."
    if not math.isfinite(scale):
        return f"The gradient does not stand clear of its noise over {noise.batches} batches.{spread}"
    if size < scale:
        return f"Yours, {size}, is mostly noise: about {_end(scale)} samples make signal and noise equal.{spread}"
    return f"Yours, {size}, is mostly signal: {_end(scale)} samples would make signal and noise equal.{spread}"


def _picture(noise: TrainingNoise, low: float, high: float) -> tuple[list[str], float]:
    scale = noise.scale or 0.0
    sure = [each for each in (low, scale, high, noise.batch_size) if math.isfinite(each) and each > 0]
    top = max(sure) * 4  # where an end is unbounded the line runs out of the picture
    ends = (low if math.isfinite(low) else top, high if math.isfinite(high) else top)
    points = (Point(scale, f"noise scale: {_end(scale)} samples"),) if math.isfinite(scale) else ()
    cases = [
        Case("noise scale", points, (max(ends[0], 1e-9), ends[1])),
        Case("your batch", (Point(noise.batch_size, f"your batch: {noise.batch_size} samples", "other"),)),
    ]
    key = "dot: estimate, line: two standard errors either way"
    return plot(cases, "samples per step", key, log=True)
