"""Keeps a recording within its room: older points are thinned, and those that stick out stay.

One of four is kept each time that there is no more room, so that a series becomes the coarser the further back it goes,
and its distribution stays what it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dnndoctor.recording.writer import Point, Writer

BYTES_PER_POINT = 68  # measured: row and index
USED = 0.4  # of the limit; while points are thinned, the new ones stand beside the old ones and in the log
LONGEST = 60_000  # points of one series
FEWEST = 256
ONE_OF = 4
MOST_PASSES = 8
FULL_SHARE = 0.25  # of a series, its newest part, that is never thinned
NEAR = 16  # neighbours on either side
DEVIATIONS = 8.0  # robust ones, from the median of the neighbours
MOST_STICKING_OUT = 0.1  # of the points that are looked at; more are no exceptions


class Thinning:
    """Knows how many points each series has, and thins where that is too many."""

    def __init__(self, writer: Writer, limit_bytes: int) -> None:
        self._writer = writer
        self.most = max(int(USED * limit_bytes / BYTES_PER_POINT), 1000)
        self.counts: Counter[int] = Counter()
        self.total = 0
        writer.index_points()

    def count(self, series: Iterable[int]) -> None:
        """A point was written for each of these."""
        listed = list(series)
        self.counts.update(listed)
        self.total += len(listed)

    def keep_to_limit(self) -> None:
        """Thin where there is too much: one long series, or all of them together."""
        for _ in range(MOST_PASSES):
            crowded = self.total > self.most
            if not crowded and max(self.counts.values(), default=0) <= LONGEST:
                return
            fewest = FEWEST if crowded else LONGEST // 2
            shortened = {series: points > fewest for series, points in self.counts.items()}
            if not any(shortened.values()):
                return  # more series than there is room for: all are short already
            self._rewrite(shortened)

    def _rewrite(self, shortened: dict[int, bool]) -> None:
        lengths: list[int] = []

        def keep(points: list[Point]) -> list[Point]:
            value = np.asarray([np.nan if each[1] is None else each[1] for each in points], np.float64)
            kept = [point for point, gone in zip(points, superfluous(value), strict=True) if not gone]
            lengths.append(len(kept))
            return kept

        self._writer.rewrite_points(shortened, keep)
        new = iter(lengths)
        self.counts.update(
            {series: next(new) - self.counts[series] for series, shorter in shortened.items() if shorter}
        )
        self.total = self.counts.total()


def superfluous(value: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points of a series, [points], can go: three of four of all but the newest and those that stick out."""
    drop = np.zeros(len(value), bool)
    old = int(len(value) * (1 - FULL_SHARE))
    drop[:old] = np.arange(old) % ONE_OF != 0
    outside = sticking_out(value[:old])
    if outside.sum() <= MOST_STICKING_OUT * old:
        drop[:old] &= ~outside
    return drop


def sticking_out(value: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Points that are not finite, or far from the median of their neighbours."""
    bad = ~np.isfinite(value)
    if len(value) < 2 * NEAR + 1:
        return bad
    finite = np.where(bad, np.nanmedian(value) if not bad.all() else 0.0, value)
    padded = np.pad(finite, NEAR, mode="edge")
    outside = np.empty(len(value), bool)
    for start in range(0, len(value), 8192):  # bounded memory: 33 neighbours of each
        part = padded[start : start + 8192 + 2 * NEAR]
        windows = np.lib.stride_tricks.sliding_window_view(part, 2 * NEAR + 1)
        middle = np.median(windows, axis=1)
        spread = 1.4826 * np.median(np.abs(windows - middle[:, None]), axis=1)
        own = finite[start : start + len(middle)]
        outside[start : start + len(middle)] = np.abs(own - middle) > DEVIATIONS * spread + 1e-12 * np.abs(middle)
    return outside | bad
