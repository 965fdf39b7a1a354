"""The time that a probe outside of the loop may take."""

from __future__ import annotations

import time
from dataclasses import dataclass


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
