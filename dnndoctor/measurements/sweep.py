"""The two sweeps: loss against learning rate, throughput against batch size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LearningRateSweep:
    """Short trainings at several rates from one snapshot (the state before the first step).

    ``rates`` [r] ascending, the user's own among them. ``scores`` [r]: mean loss over the last steps of each
    trial; inf where it diverged; nan where the rate was dropped as hopeless before its end. ``start``: the
    loss before any step, on the same batches. ``noise``: standard deviation of a score between batches draws.
    ``user_rate`` and ``user_score`` are the user's own. ``best_rate``: lowest score. ``usable``: the range of
    rates within a tenth of the best progress. ``diverging_rate``: the lowest rate at which (and above which)
    training diverged, None if none did. ``steps`` per trial. ``paired``: all rates saw the same batches.
    ``confidence``: "high", "medium" or "low". ``curves`` [r]: the losses of each rate's longest trial, empty
    where they were not kept.
    ``score_steps``: the steps behind ``scores``, where every rate was tried; the best few and the user's went on to
    ``steps``, and best and user's figures are from there. 0 says that they are the same.
    """

    optimizer: str
    rates: NDArray[np.float64]
    scores: NDArray[np.float64]
    start: float
    noise: float
    user_rate: float
    user_score: float
    best_rate: float
    best_score: float
    usable: tuple[float, float]
    diverging_rate: float | None
    steps: int
    paired: bool
    confidence: str
    curves: tuple[NDArray[np.float64], ...] = ()
    score_steps: int = 0

    @property
    def progress(self) -> float:
        """How far the best rate brought the loss down; 0 if none did."""
        return max(self.start - self.best_score, 0.0)

    @property
    def user_progress(self) -> float:
        """How far the user's own rate brought it down; negative if it rose."""
        return self.start - self.user_score


@dataclass(frozen=True, slots=True)
class BatchSweep:
    """Training throughput at several batch sizes.

    ``sizes`` [n] ascending, the user's own among them; ``throughput`` [n]: samples per second, median of
    repeats; ``spread`` [n]: largest over smallest repeat; ``peak_bytes`` [n]: peak memory on an accelerator, nan
    on the CPU. ``knee``: smallest and largest size that can be called the knee, given the spread.
    ``stopped``: why the sweep went no further ("knee", "memory", "data", "time").
    """

    sizes: NDArray[np.int64]
    throughput: NDArray[np.float64]
    spread: NDArray[np.float64]
    peak_bytes: NDArray[np.float64]
    user_size: int
    knee: tuple[int, int]
    stopped: str

    def at(self, size: int) -> float:
        """Samples per second at the measured size nearest to this one, in the logarithm."""
        nearest = np.argmin(np.abs(np.log(self.sizes / size)))
        return float(self.throughput[nearest])
