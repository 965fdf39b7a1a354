"""Curves of whole runs, as logs tell them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnndoctor.measurements import Course, Curve
from dnndoctor.recording.turns import moved, turns

Floats = NDArray[np.float64]


def a_curve(role: str, value: Any, step: Any = None, name: str = "") -> Curve:
    values = np.asarray(value, np.float64)
    steps = np.arange(len(values), dtype=np.float64) if step is None else np.asarray(step, np.float64)
    lines = np.arange(2, len(values) + 2)
    return Curve(name or role, role, steps, values, np.full(len(values), np.nan), lines, "metrics.csv")


def falling(points: int = 400, noise: float = 0.05, seed: int = 0) -> Floats:
    """A sound training loss: from 2.3 to about 0.5, with noise."""
    random = np.random.default_rng(seed)
    way = 0.4 + 1.9 / (1 + 10 * np.arange(points) / points)
    values: Floats = way * np.exp(noise * random.standard_normal(points))
    return values


def a_course(*curves: Curve, **changes: Any) -> Course:
    loss = next((each for each in curves if each.role == "loss"), None)
    found = turns(loss) if loss is not None else ()
    told = moved(curves, found[-1], loss) if found and loss is not None else ()
    return Course(**({"unit": "step", "curves": curves, "turns": found, "moved": told} | changes))
