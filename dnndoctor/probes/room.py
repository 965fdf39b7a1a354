"""What a probe outside of the loop is given: its time, and how it says that it cannot."""

from __future__ import annotations

import time
from dataclasses import dataclass


class Unable(Exception):
    """A probe cannot be made here; the text completes "not examined: ..."."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a probe may take: ``seconds`` in all; ``step_seconds`` is the length of one step of the user's loop."""

    seconds: float
    step_seconds: float

    @property
    def deadline(self) -> float:
        """``time.perf_counter()`` at which to be through."""
        return time.perf_counter() + self.seconds

    @staticmethod
    def is_over(deadline: float) -> bool:
        """Whether that time has come."""
        return time.perf_counter() > deadline
