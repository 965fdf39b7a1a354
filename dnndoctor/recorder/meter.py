"""What the recorder costs, measured by itself; and when it can afford to look again."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

GRACE = 0.005  # seconds that may be spent in advance, so that the first step is looked at
RECENT = 0.2  # weight of the newest cost in the running mean
PLUMBING_SHARE = 0.5  # of the budget, for what is done in every step
# In calls of a small function, measured with steps of 120 us: what hooks and wrappers cost each step, and what they do
# besides where they take the loss.
CALLS_IN_A_STEP, CALLS_FOR_A_LOSS = 60, 200
CALLS_TIMED = 300
MOST_ASLEEP = 1000


class Meter:
    """Seconds spent by kind, and the time since recording began. Of payments within each other the outer one counts.

    ``elapsed`` counts from ``start``, the first step: what comes before is no training.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.steps = 0
        self._began: float | None = None
        self._open = False
        self._opened = 0.0
        self.start_seconds = 0.0
        self.kept = 0  # steps of which at least the loss was taken
        self._settled = (0, 0)
        self._call = _seconds_of_a_call()

    def start(self) -> None:
        """The first step begins."""
        if self._began is None:
            self._began = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds since ``start``."""
        return 0.0 if self._began is None else time.perf_counter() - self._began

    @property
    def spent(self) -> float:
        """Seconds of all kinds."""
        return sum(self.seconds.values())

    def begun(self) -> None:
        """What was paid until now was for the start: told, but taken from no step's budget."""
        now = time.perf_counter()
        if self._open:
            self.start_seconds += now - self._opened
            self._opened = now

    def add(self, kind: str, seconds: float) -> None:
        """Note a cost that was measured elsewhere."""
        self.seconds[kind] = self.seconds.get(kind, 0.0) + seconds

    @property
    def loss_seconds(self) -> float:
        """What taking the loss of a step costs."""
        return CALLS_FOR_A_LOSS * self._call

    def settle(self, writing: float) -> None:
        """Note what wrappers have cost that do not time themselves, and what writing has cost until now."""
        steps, kept = self._settled
        self._settled = self.steps, self.kept
        calls = (self.steps - steps) * CALLS_IN_A_STEP + (self.kept - kept) * CALLS_FOR_A_LOSS
        self.add("wrappers", calls * self._call)
        self.seconds["writing"] = writing

    def enter(self) -> float:
        """Begin to pay; gives what ``leave`` needs: 0 within another payment."""
        if self._open:
            return 0.0
        self._open = True
        self._opened = time.perf_counter()
        return self._opened

    def leave(self, began: float, kind: str) -> None:
        """End what ``enter`` began."""
        if began:
            self._open = False
            self.add(kind, time.perf_counter() - self._opened)


def _seconds_of_a_call() -> float:
    """What a call of a small function takes here; what Python costs is reckoned in these."""

    def small(one: int) -> int:
        return one

    def timed() -> float:
        began = time.perf_counter()
        for number in range(CALLS_TIMED):
            small(number)
        return (time.perf_counter() - began) / CALLS_TIMED

    return min(timed() for _ in range(3))


@dataclass(slots=True)
class Due:
    """One look that is taken again and again: what it costs, in seconds, and when it was taken last, as a step."""

    name: str
    cost: float = 0.0
    last: int = -1
    taken: int = 0
    total: float = 0.0
    pending: float = 0.0

    def note(self, step: int) -> None:
        """It was taken in this step; what is pending is what it cost."""
        seconds, self.pending = self.pending, 0.0
        self.total += seconds
        self.cost = seconds if not self.taken else (1 - RECENT) * self.cost + RECENT * seconds
        self.taken, self.last = self.taken + 1, step


ON_LOOKS = 0.7  # of the budget; seen from outside recording costs more than its own clock tells: caches, other threads


class Cadence:
    """Chooses before each step what is looked at in it, so that the whole cost stays below ``overhead`` of the time.

    ``overhead``: a share, such as 0.01. The budget grows with the time that passes; a look is taken when it fits in,
    the one that has waited longest first. Where even the plumbing of every step is too dear, steps are skipped.
    """

    def __init__(self, meter: Meter, overhead: float) -> None:
        self.meter, self.overhead = meter, overhead
        self.every = self.every_loss = 1

    def choose(self, looks: list[Due]) -> list[Due]:
        """The looks that the next step can afford."""
        left = ON_LOOKS * self.overhead * self.meter.elapsed + GRACE - self.meter.spent
        chosen = []
        for each in sorted(looks, key=lambda one: (one.last, one.name)):
            if each.cost > left:
                break  # it waits until there is enough for it, and those that waited less wait with it
            chosen.append(each)
            left -= each.cost
        return chosen

    def skip(self, plumbing: float) -> int:
        """How many steps to go until the next one that is recorded at all; ``plumbing``: seconds that one costs."""
        elapsed, steps = self.meter.elapsed, max(self.meter.steps, 1)
        allowed = PLUMBING_SHARE * self.overhead * elapsed / steps
        self.every = _times(plumbing, allowed)
        self.every_loss = _times(self.meter.loss_seconds, allowed)
        return self.every


def _times(cost: float, allowed: float) -> int:
    """How many steps make up for a cost, of which each allows for so much."""
    return max(1, min(math.ceil(cost / allowed), MOST_ASLEEP)) if allowed > 0 else 1
