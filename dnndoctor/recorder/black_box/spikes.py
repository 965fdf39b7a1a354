"""Whether a loss is far above those before it, told at once and in constant time."""

from __future__ import annotations

from collections import deque

SIGMAS, LENGTH = 6.0, 128  # of OLMo-core's SkipStepOptimizer, which leaves such steps out
FEWEST = 64  # likewise half of the length
SHARE = 0.25  # of the level: less is no harm that anyone would look for


class Spikes:
    """Follows a loss by its mean and deviation over the last ``LENGTH`` finite values."""

    def __init__(self) -> None:
        self._values: deque[float] = deque()
        self._sum = self._squares = 0.0

    def take(self, loss: float) -> bool:
        """Take one more finite value; gives whether it stands out. Those that do are not remembered."""
        count = len(self._values)
        if count >= FEWEST:
            mean = self._sum / count
            variance = max(self._squares / count - mean * mean, 0.0)
            above = loss - mean
            if above > SHARE * abs(mean) and above * above > SIGMAS * SIGMAS * variance:
                return True
        self._values.append(loss)
        self._sum += loss
        self._squares += loss * loss
        if count >= LENGTH:
            old = self._values.popleft()
            self._sum -= old
            self._squares -= old * old
        return False
