"""How the outputs of each activation are spread, at the first and at the last watched step."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dnndoctor.measurements import Activation, Activations, ActivationStatistics
from dnndoctor.reports.html.figures import heat
from dnndoctor.reports.html.figures.chart import Scale, brief, finite, text, x_axis
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken

TITLE = "Spread of the activations"
WIDE = 900
LEFT, MIDDLE, GAP, RIGHT, TOP = 186, 524, 24, WIDE - 20, 40
CELLS = 96
OUTLYING = 0.95  # quantile of the ranges that still sets the scale: one layer must not flatten the others


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where no histogram was kept."""
    activations = taken(measurements, Activations)
    sites = [each for each in activations.hidden() if len(each.history[-1].histogram)] if activations else []
    low, high = _range(sites)
    if len(sites) < 2 or not high > low:
        return None
    firsts, lasts = (np.stack([_spread(each.history[i], low, high) for each in sites]) for i in (0, -1))
    return drawn(
        "histograms",
        TITLE,
        _caption(sites, low, high),
        _picture([each.name for each in sites], firsts, lasts, low, high),
        ("activation", "function", "lowest at first", "highest at first", "lowest at last", "highest at last"),
        (
            (each.name, each.function, *(brief(v) for v in (*_ends(each.history[0]), *_ends(each.history[-1]))))
            for each in sites
        ),
        {"activation-functions"},
        {Activations},
        section="model",
        width=WIDE,
    )


def _ends(one: ActivationStatistics) -> tuple[float, float]:
    return float(one.low), float(one.high)


def _range(sites: Sequence[Activation]) -> tuple[float, float]:
    ends = [_ends(each.history[i]) for each in sites for i in (0, -1)]
    lows, highs = finite(low for low, _ in ends), finite(high for _, high in ends)
    if not lows or not highs:
        return 0.0, 0.0
    return float(np.quantile(lows, 1 - OUTLYING)), float(np.quantile(highs, OUTLYING))


def _spread(one: ActivationStatistics, low: float, high: float) -> NDArray[np.float64]:
    """Its counts over the common range, as the root of their share of the fullest cell's; NaN where nothing lies.

    A bin is spread evenly over the cells that it covers; what lies beyond the range is counted at its ends.
    """
    counts = one.histogram.astype(np.float64)
    out = np.zeros(CELLS)
    if not counts.sum() or not (math.isfinite(one.low) and math.isfinite(one.high)):
        return np.full(CELLS, np.nan)
    edges = np.linspace(one.low, one.high, len(counts) + 1)
    below = np.concatenate([[0.0], np.cumsum(counts)])
    at = np.interp(np.linspace(low, high, CELLS + 1), edges, below) if one.high > one.low else None
    if at is None:  # all values are one
        out[int(np.clip((one.low - low) / (high - low) * CELLS, 0, CELLS - 1))] = counts.sum()
    else:
        at[0], at[-1] = 0.0, below[-1]
        out = np.diff(at)
    return np.where(out > 0, np.sqrt(out / out.max()), np.nan)


def _caption(sites: Sequence[Activation], low: float, high: float) -> str:
    widest = max(sites, key=lambda each: each.history[-1].high - each.history[-1].low)
    first, last = _ends(widest.history[0]), _ends(widest.history[-1])
    return (
        f"Each row is one activation, from {brief(low)} to {brief(high)}; the brighter, the more outputs lie there. "
        f"The widest, {widest.name}, reaches from {last[0]:.3g} to {last[1]:.3g} at last, "
        f"from {first[0]:.3g} to {first[1]:.3g} at first."
    )


def _picture(
    names: list[str], firsts: NDArray[np.float64], lasts: NDArray[np.float64], low: float, high: float
) -> tuple[list[str], float]:
    left, bottom, _ = heat.picture(firsts, names, LEFT, MIDDLE, TOP, log=False)
    right, _, _ = heat.picture(lasts, [], MIDDLE + GAP, RIGHT, TOP, log=False)
    body = [
        *left,
        *right,
        text("first watched step", LEFT, TOP - 10, "label"),
        text("last watched step", MIDDLE + GAP, TOP - 10, "label"),
        x_axis(Scale(low, high, LEFT, MIDDLE), round(bottom, 1), "output"),
        x_axis(Scale(low, high, MIDDLE + GAP, RIGHT), round(bottom, 1), "output"),
    ]
    return body, round(bottom + 48, 1)
