"""Fewer points for what is long ago, so that whoever looks at them later still sees what happened."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dnndoctor.recording.points import VALUE, Floats

FACTOR = 4  # of these points, one is kept
NEAR = 32  # points among which one stands out
SIGMAS = 6.0  # robust deviations by which it does: see recording/turns.py
BESIDE = 0.5  # of the evenly kept ones, as many at most are kept for what they are, of each kind


def thinned(points: Floats) -> Floats:
    """Every fourth of these points [n, columns] of one series, and whatever stands out among the others.

    Points are never averaged: the noise of what is kept is the noise that was. Kept besides are the lowest and the
    highest, those that are far from their neighbours, farthest first, both sides of a jump from one level to another,
    and where values begin and cease to be finite.
    """
    value = points[:, VALUE]
    keep = np.zeros(len(points), bool)
    keep[::FACTOR] = True
    most = max(int(BESIDE * len(points) / FACTOR), 2)
    keep[_spikes(value, most)] = True
    keep[_jumps(value, most)] = True
    keep[_borders(np.isfinite(value), most)] = True
    return points[keep]


def _spikes(value: Floats, most: int) -> NDArray[np.intp]:
    known = np.flatnonzero(np.isfinite(value))
    if not len(known):
        return known
    finite = value[known]
    far = _distance(finite)
    found = np.flatnonzero(far > SIGMAS)
    found = found[np.argsort(-far[found], kind="stable")[: most - 2]]
    chosen: NDArray[np.intp] = known[np.concatenate([found, [np.argmin(finite), np.argmax(finite)]])]
    return chosen


def _jumps(value: Floats, most: int) -> NDArray[np.intp]:
    known = np.flatnonzero(np.isfinite(value))
    if len(known) < 2:
        return known
    far = _distance(np.diff(value[known]))
    found = np.flatnonzero(far > SIGMAS)
    found = found[np.argsort(-far[found], kind="stable")[: most // 2]]
    chosen: NDArray[np.intp] = known[np.concatenate([found, found + 1])]
    return chosen


def _distance(value: Floats) -> Floats:
    """How far each lies from the median of those around it, in robust deviations of them."""
    blocks = -(-len(value) // NEAR)
    rows = np.pad(value, (0, blocks * NEAR - len(value)), mode="edge").reshape(blocks, NEAR)
    level = np.median(rows, axis=1, keepdims=True)
    off = np.abs(rows - level)
    spread = 1.4826 * np.median(off, axis=1, keepdims=True)
    # A flat stretch has no spread of its own; rounding is no spike.
    far: Floats = off / np.maximum(spread, np.maximum(1e-9 * np.abs(level), 1e-300))
    return far.reshape(-1)[: len(value)]


def _borders(finite: NDArray[np.bool_], most: int) -> NDArray[np.intp]:
    """The last points before and the first ones after each change; of too many, evenly chosen ones."""
    changes = np.flatnonzero(finite[1:] != finite[:-1])
    chosen = changes[:: max(-(-2 * len(changes) // most), 1)] if len(changes) else changes
    return np.concatenate([chosen, chosen + 1])
