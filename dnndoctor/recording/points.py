"""The points of series as text: JSON that ``json_each`` unpacks, so that any reader of SQLite can use them.

A row of ``stretch`` holds points of one series, ``[[step, value, time], ...]`` with the line of a log as the fourth
figure; a row of ``recent`` holds what came last of all series, ``[[step, value, time, series], ...]``. What is not a
number is null, infinities are 9e999. The view ``point`` has them one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

MOST = 1024  # points in a row: where a page of the file is lost, all of its row is
STEP, VALUE, TIME, LAST = 0, 1, 2, 3  # columns

Floats = NDArray[np.float64]
_three = msgspec.json.Decoder(list[tuple[float, float | None, float | None]])
_four = msgspec.json.Decoder(list[tuple[float, float | None, float | None, float | None]])


def encoded(points: Floats) -> str:
    """The text of points [n, 3 or 4]."""
    if not np.isinf(points).any():
        return msgspec.json.encode(points.tolist()).decode()
    return json.dumps(points.tolist()).replace("Infinity", "9e999").replace("NaN", "null")


def decoded(text: str) -> Floats:
    """The points [n, 3 or 4] of a text.

    Raises ValueError where it holds none.
    """
    found: Any
    four = text.find(",", text.find(",", text.find(",") + 1) + 1)
    try:
        found = (_four if -1 < four < text.find("]") else _three).decode(text)
    except msgspec.DecodeError:
        found = json.loads(text)  # infinities, or nothing of the kind
    return np.asarray(found, np.float64).reshape(len(found), -1)


def stretches(series: int, points: Floats, level: int = 0) -> Iterator[dict[str, Any]]:
    """Rows of the table ``stretch`` for points [n, 3 or 4] of one series, in their order."""
    for start in range(0, len(points), MOST):
        part = points[start : start + MOST]
        yield {"series": series, "level": level, "kept": len(part), **summary(part), "points": encoded(part)}


def summary(points: Floats) -> dict[str, Any]:
    """What a stretch held, whatever of it is kept later; the level of values is that of the finite ones."""
    value = points[:, VALUE]
    finite = value[np.isfinite(value)]
    low, mean, high = (finite.min(), finite.mean(), finite.max()) if len(finite) else (None, None, None)
    return {
        "first": float(points[0, STEP]),
        "last": float(points[-1, STEP]),
        "seen": len(points),
        "non_finite": len(value) - len(finite),
        "low": None if low is None else float(low),
        "mean": None if mean is None else float(mean),
        "high": None if high is None else float(high),
    }
