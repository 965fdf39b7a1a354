"""What is on disk of each series: the newest points as they came, older ones sorted, the oldest thinned."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dnndoctor.recorder.thinning import thinned
from dnndoctor.recording.points import LAST, MOST, Floats, decoded, encoded, stretches
from dnndoctor.recording.writer import Writer

SORTED_AT = 65_536  # recent points, after which they are sorted by series
PORTION_SHARE, BYTES = 0.05, 36.0  # likewise, as a share of the limit; what a point takes
PER_SERIES = 32  # likewise, on average: short rows are slow to read
FULL, ROOMY = 0.8, 0.75  # of the limit: where thinning begins and ends; the log beside the file takes the rest
ROWS_AT_ONCE = 64  # that are thinned together
FEWEST = 256  # points of a series that are never thinned
NEWEST = 2.0  # how much more of the file the points that are kept in full may take than those of each other level


@dataclass(slots=True)
class _Row:
    id: int
    level: int
    kept: int


class History:
    """Puts points into a recording and keeps it below ``limit_bytes``; to be used within one transaction at a time.

    Each level of age has a quarter of the points of the one before, so that a run of any length fits. ``weights``: of
    series, how much more of the file one may take than the others.
    """

    def __init__(self, writer: Writer, limit_bytes: int, weights: Mapping[int, float]) -> None:
        self._writer, self._limit, self._weights = writer, limit_bytes, weights
        self.portion = max(min(SORTED_AT, int(PORTION_SHARE * limit_bytes / BYTES)), 64)
        self._recent: list[Floats] = []
        self._recent_count = 0
        self._rows: dict[int, list[_Row]] = {}
        self._next = 1

    def add(self, points: Floats) -> None:
        """Put points [n, 4] of any series, no more than ``portion`` of them, where they are safe at once."""
        rows = [{"points": encoded(points[start : start + MOST])} for start in range(0, len(points), MOST)]
        self._writer.put_all("recent", rows)
        self._recent.append(points)
        self._recent_count += len(points)
        if self._recent_count >= max(self.portion, min(PER_SERIES * len(self._rows), 8 * self.portion)):
            self.sort()

    def recall(self) -> None:
        """Begin again from what is in the file, after writing has failed."""
        self._recent = [decoded(text) for (text,) in self._writer.columns("recent", "points")]
        self._recent_count = sum(map(len, self._recent))
        self._rows = {}
        for number, series, level, kept in self._writer.columns("stretch", "id", "series", "level", "kept"):
            self._rows.setdefault(series, []).append(_Row(number, level, kept))
            self._next = max(self._next, number + 1)

    def sort(self) -> None:
        """Move the recent points to their series."""
        if not self._recent:
            return
        table = np.concatenate(self._recent)
        table = table[np.argsort(table[:, LAST], kind="stable")]
        starts = np.flatnonzero(np.diff(table[:, LAST], prepend=-1))
        rows = []
        for part in np.split(table, starts[1:]):
            series = int(part[0, LAST])
            for row in stretches(series, part[:, :LAST]):
                rows.append(row | {"id": self._next})
                self._rows.setdefault(series, []).append(_Row(self._next, 0, row["kept"]))
                self._next += 1
        self._writer.put_all("stretch", rows)
        self._writer.clear("recent")
        self._recent, self._recent_count = [], 0

    def thin(self) -> bool:
        """Thin what is oldest of the series that takes most, where the recording is too large.

        Gives whether there is more to do.
        """
        used = self._writer.used_bytes()
        if used <= FULL * self._limit:
            return False
        if not self._thin_one():
            self.sort()
            return self._thin_one()
        return self._writer.used_bytes() > ROOMY * self._limit

    def _thin_one(self) -> bool:
        sizes = {each: sum(row.kept for row in rows) for each, rows in self._rows.items()}
        usable = [each for each, size in sizes.items() if size > FEWEST]
        if not usable:
            return False
        series = max(usable, key=lambda each: sizes[each] / self._weights.get(each, 1.0))
        rows = self._rows[series]
        chosen = _oldest(rows)
        ids = [row.id for row in chosen]
        held = self._writer.rows("stretch", ids)
        level = chosen[0].level + 1
        written = [_merged(series, level, each) for each in _groups(held)]
        self._writer.remove("stretch", ids)
        self._writer.put_all("stretch", written)
        at = rows.index(chosen[0])
        rows[at : at + len(chosen)] = [_Row(row["id"], level, row["kept"]) for row in written]
        return True


def _oldest(rows: list[_Row]) -> list[_Row]:
    """The older half of the level that takes most."""
    taken: dict[int, float] = {}
    for row in rows:
        taken[row.level] = taken.get(row.level, 0.0) + (row.kept if row.level else row.kept / NEWEST)
    level = max(taken, key=lambda each: taken[each])
    of_level = [row for row in rows if row.level == level]
    return of_level[: min(max(math.ceil(len(of_level) / 2), 1), ROWS_AT_ONCE)]


def _groups(held: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Neighbours whose points, thinned, fit into one row."""
    group: list[dict[str, Any]] = []
    for row in held:
        if group and sum(each["kept"] for each in group) + row["kept"] > 2 * MOST:
            yield group
            group = []
        group.append(row)
    yield group


def _merged(series: int, level: int, held: list[dict[str, Any]]) -> dict[str, Any]:
    """One row for those ``held`` until now, in the place of the first; what they knew of all points is kept."""
    points = thinned(np.concatenate([decoded(each["points"]) for each in held]))
    finite = [each for each in held if each["mean"] is not None]
    counts = [each["seen"] - each["non_finite"] for each in finite]
    return {
        "id": held[0]["id"],
        "series": series,
        "level": level,
        "first": held[0]["first"],
        "last": held[-1]["last"],
        "kept": len(points),
        "seen": sum(each["seen"] for each in held),
        "non_finite": sum(each["non_finite"] for each in held),
        "low": min((each["low"] for each in finite), default=None),
        "mean": float(np.average([each["mean"] for each in finite], weights=counts)) if finite else None,
        "high": max((each["high"] for each in finite), default=None),
        "points": encoded(points),
    }
