"""Samples per second against the batch size, with the user's own."""

import math

from dnndoctor.measurements import BatchSweep
from dnndoctor.reports.html.figures.chart import (
    WIDTH,
    Scale,
    band,
    brief,
    dot,
    drawing,
    finite,
    flag,
    line,
    polyline,
    runs,
    text,
    x_axis,
    y_axis,
)
from dnndoctor.reports.html.figures.figure import Figure, Measurements, taken
from dnndoctor.reports.words import figure as number

TITLE = "Throughput against batch size"
LEFT, RIGHT, TOP, BOTTOM, HEIGHT = 76, WIDTH - 20, 30, 262, 310
MIB = 2**20


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where no sweep was made."""
    sweep = taken(measurements, BatchSweep)
    if sweep is None or not len(sweep.sizes):
        return None
    caption = _caption(sweep)
    rows = zip(sweep.sizes, sweep.throughput, sweep.peak_bytes, strict=True)
    return Figure(
        "figure-throughput",
        TITLE,
        caption,
        drawing("figure-throughput", HEIGHT, TITLE, caption, _body(sweep)),
        ("batch size", "samples/s", "peak memory, MiB"),
        tuple((number(n), number(float(t)), number(float(m) / MIB) if math.isfinite(m) else "-") for n, t, m in rows),
        frozenset({"batch-size", "hardware"}),
        frozenset({BatchSweep}),
    )


def _caption(sweep: BatchSweep) -> str:
    own, best = sweep.at(max(sweep.user_size, 1)), sweep.at(max(sweep.knee[0], 1))
    low, high = sweep.knee
    knee = number(low) if low == high else f"{number(low)} to {number(high)}"
    times = f", {number(round(best / own, 1))} times as many" if own > 0 and math.isfinite(best / own) else ""
    if low <= sweep.user_size <= high or not best > own:
        return f"Yours, {sweep.user_size}, gives {_rate(own)}; the curve bends at {knee}."
    return f"Yours, {sweep.user_size}, gives {_rate(own)}; at {knee}, where the curve bends, {_rate(best)}{times}."


def _rate(value: float) -> str:
    return f"{brief(value)} samples/s"


def _body(sweep: BatchSweep) -> list[str]:
    sizes = [float(each) for each in sweep.sizes]
    speeds = [float(each) for each in sweep.throughput]
    half = [math.sqrt(each) if math.isfinite(each) and each >= 1 else 1.0 for each in sweep.spread]
    ranges = [(speed / root, speed * root) for speed, root in zip(speeds, half, strict=True)]
    x = Scale.fit([*sizes, sweep.user_size], LEFT, RIGHT, log=True)
    y = Scale.fit([0.0, *finite(high for _, high in ranges)], BOTTOM, TOP + 24, pad=0.0)
    low, high = x(sweep.knee[0]), x(sweep.knee[1])
    body = [
        band(low - 6, TOP, high + 6, BOTTOM),
        text("bend", max((low + high) / 2, LEFT + 100), TOP - 8, "note", "middle"),
        x_axis(x, BOTTOM, "batch size (logarithmic)"),
        y_axis(y, LEFT, RIGHT, "samples per second"),
    ]
    body += [polyline([(x(a), y(b)) for a, b in stretch]) for stretch in runs(sizes, speeds)]
    for size, speed, (slowest, fastest) in zip(sizes, speeds, ranges, strict=True):
        if not math.isfinite(speed):
            continue
        body.append(line(x(size), y(slowest), x(size), y(fastest), "whisker"))
        body.append(dot(x(size), y(speed), f"batch of {number(size)}: {_rate(speed)}"))
    return [*body, flag(x(sweep.user_size), TOP, BOTTOM, f"yours {number(sweep.user_size)}")]
