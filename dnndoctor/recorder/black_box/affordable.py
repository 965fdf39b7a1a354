"""How closely the next step can be looked at, by what looking has cost and how long steps take."""

from __future__ import annotations

import math
import time

INDICES, STREAMS, SAMPLES, EVERYTHING = range(4)  # each has what those before it have
TRIED = 3  # steps at first for each, to see what it costs
RECENT = 0.1  # weight of the newest step in the running mean of their length


class Affordable:
    """Decides once for each step. ``share``: of the time. ``spent``: seconds in this step, as the caller counts."""

    def __init__(self, share: float) -> None:
        self.spent = 0.0
        self.level = INDICES
        self._share = share
        self._step = -1
        self._at = time.perf_counter()
        self._interval = 0.0
        self._costs: dict[int, float] = {}  # of the levels that have cost anything
        self._tries = [each for each in (EVERYTHING, SAMPLES, STREAMS) for _ in range(TRIED)]
        self._due = 0

    def settle(self, step: int) -> int:
        """``INDICES``, ``STREAMS``, ``SAMPLES`` or ``EVERYTHING`` in this step."""
        if step != self._step:
            now = time.perf_counter()
            interval = (now - self._at) / max(step - self._step, 1)
            self._interval = (1 - RECENT) * self._interval + RECENT * interval if self._interval else interval
            if self.spent and self.level > INDICES:
                # The least: first calls are dear, and waiting for a processor is no cost.
                self._costs[self.level] = min(self._costs.get(self.level, math.inf), self.spent)
            self.spent, self._at, self._step = 0.0, now, step
            self.level = self._chosen(step)
        return self.level

    def _chosen(self, step: int) -> int:
        allowed = self._share * self._interval
        if self._tries:
            return self._tries.pop(0) if math.isfinite(allowed) else EVERYTHING
        for level in (EVERYTHING, SAMPLES, STREAMS):
            if self._costs.get(level, 0.0) <= allowed:
                return level
        if step < self._due:
            return INDICES
        self._due = step + (math.ceil(self._costs[STREAMS] / allowed) if allowed else 1)
        return STREAMS
