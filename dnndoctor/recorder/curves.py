"""The curves of a run as a whole, for the store: loss, rate, gradient norm, times, and what the program logs."""

from __future__ import annotations

import math

from dnndoctor.recorder.store import Store

TIMES_TOGETHER = 16  # steps whose mean times are told in one point
RATE_AT_LEAST = 100  # steps, after which a rate that stays is told again
UNITS = {"data wait": "s", "step time": "s"}


class Curves:
    """Tells each where it changes or is new, so that small steps do not pay for what is the same as before."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._numbers = {name: store.series(name, name) for name in ("loss", "learning rate", "gradient norm")}
        self._numbers |= {name: store.series(name, "other", unit=unit) for name, unit in UNITS.items()}
        self._rate = (-RATE_AT_LEAST, -1, 0.0, math.nan)  # told at this step; held since, at step and moment; its value
        self._times: list[tuple[float, float]] = []  # of the steps since they were told: waited, and in all
        self._given: dict[str, int] = {}

    def loss(self, step: int, moment: float, value: float) -> None:
        """The loss of a step."""
        self._store.add(step, moment, (self._numbers["loss"],), (value,))

    def norm(self, step: int, moment: float, value: float) -> None:
        """The norm of all gradients of a step."""
        self._store.add(step, moment, (self._numbers["gradient norm"],), (value,))

    def rate(self, step: int, moment: float, rate: float) -> None:
        """The learning rate where it changes, with the last point before that, and now and then where it does not."""
        told_at, held_at, held_moment, held = self._rate
        number = (self._numbers["learning rate"],)
        if rate != held:
            if held_at > told_at >= 0:
                self._store.add(held_at, held_moment, number, (held,))
            told_at = -RATE_AT_LEAST
        if step - told_at >= RATE_AT_LEAST:
            self._store.add(step, moment, number, (rate,))
            told_at = step
        self._rate = (told_at, step, moment, rate)

    def times(self, step: int, moment: float, waited: float, seconds: float) -> None:
        """How long a step took, and how long of it was waited for data; nan where an evaluation ran in between."""
        if seconds != seconds:
            return
        self._times.append((waited, seconds))
        if len(self._times) >= TIMES_TOGETHER:
            means = [sum(each) / len(self._times) for each in zip(*self._times, strict=True)]
            self._store.add(step, moment, [self._numbers[name] for name in UNITS], means)
            self._times.clear()

    def given(self, step: int, moment: float, name: str, value: float, role: str) -> None:
        """A figure that the program gives."""
        if name not in self._given:
            self._given[name] = self._store.series(name, role)
        self._store.add(step, moment, (self._given[name],), (value,))
