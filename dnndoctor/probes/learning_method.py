"""Learning methods side by side: each at its own best rate, from the same start, on the same batches.

Each method's rate is searched by short trials a decade apart and then half a decade around the best. The user's own
optimizer takes part twice: at its own rate, and at its best one (which the learning-rate experiment found). All then
train from two orders of the batches. Decay of the weights is left to the user's own optimizer: over so few steps it
decides nothing, and AdamW is Adam without it.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dnndoctor.probes.experiment import Plan, Planned, Setting, Trial, Update
from dnndoctor.probes.loop import Loop

SEARCH_STEPS, STEPS, FEWEST_STEPS = 15, 50, 20
SEEDS = 2
TAIL = 0.3  # of a trial's steps that its score is the mean of


@dataclass(frozen=True, slots=True)
class Method:
    """An update rule, None for the user's own; ``middle``: a usual rate, from which the search goes up and down."""

    name: str
    update: Update | None
    middle: float


METHODS = (
    Method("Adam", lambda g: torch.optim.Adam(g), 3e-3),
    Method("SGD with momentum 0.9", lambda g: torch.optim.SGD(g, momentum=0.9), 0.03),
    Method("RMSprop", lambda g: torch.optim.RMSprop(g), 3e-3),
    Method("SGD", lambda g: torch.optim.SGD(g), 0.3),
    Method("SGD with Nesterov momentum 0.9", lambda g: torch.optim.SGD(g, momentum=0.9, nesterov=True), 0.03),
    Method("Adagrad", lambda g: torch.optim.Adagrad(g), 0.03),
    Method("Adadelta", lambda g: torch.optim.Adadelta(g), 3.0),
)


class LearningMethods(Planned):
    """As many methods as there is time for."""

    name = "learning-method"

    def __init__(self) -> None:
        super().__init__()
        self._loop: Loop
        self._steps = STEPS
        self._own: dict[str, Any] = {}
        self._found: list[dict[str, Any]] = []

    def refusal(self, loop: Loop) -> str | None:
        """Gradients must be left where another optimizer finds them."""
        if (reason := loop.no_rates()) is not None:
            return reason
        if loop.lead.by_hand:
            return "the updates are made by hand: no other rule can take their place"
        if any(p.grad is not None and p.grad.is_sparse for p in loop.parameters()):
            return "the gradients are sparse, and most methods take no such"
        return None

    def plan(self, loop: Loop, steps: int) -> Plan:
        """The user's own first, then the others, the most usual first."""
        self._loop = loop
        search = 6 * SEARCH_STEPS
        whole = (2 + len(METHODS)) * SEEDS * STEPS + len(METHODS) * search
        self._steps = int(np.clip(STEPS * steps / whole, FEWEST_STEPS, STEPS))
        left = steps
        best = loop.best_rate
        if best is None:
            best = yield from self._search(Method(loop.lead.name, None, loop.user_rate))
            left -= search
        for rate in dict.fromkeys((loop.user_rate, best)):
            self._found.append((yield from self._compare(loop.lead.name, rate, None)))
            left -= SEEDS * self._steps
        for method in METHODS:
            if left < SEEDS * self._steps + search / 2:
                return
            rate = yield from self._search(method)
            self._found.append((yield from self._compare(method.name, rate, method.update)))
            left -= SEEDS * self._steps + search

    def _search(self, method: Method) -> Generator[Trial, list[float], float]:
        scores: dict[float, float] = {}
        for rate in (method.middle, method.middle * 10, method.middle / 10):
            scores[rate] = yield from self._score(rate, method)
        best = min(scores, key=lambda rate: scores[rate])
        for rate in (best * 10, best / 10):  # the best of the three lies at the edge
            if rate not in scores and not any(math.isclose(rate, known) for known in scores) and best != method.middle:
                scores[rate] = yield from self._score(rate, method)
        best = min(scores, key=lambda rate: scores[rate])
        for rate in (best * 10**0.5, best / 10**0.5):
            scores[rate] = yield from self._score(rate, method)
        return min(scores, key=lambda rate: scores[rate])

    def _score(self, rate: float, method: Method) -> Generator[Trial, list[float], float]:
        losses = yield Trial(Setting(rate=rate, update=method.update), SEARCH_STEPS)
        return _tail(losses, SEARCH_STEPS)

    def _compare(self, name: str, rate: float, update: Update | None) -> Generator[Trial, list[float], dict[str, Any]]:
        curves = []
        for seed in range(SEEDS):
            kept = self._loop.kept
            order = np.random.default_rng(seed).permutation(kept).tolist() if seed and kept > 1 else None
            setting = Setting(rate=rate, update=update, batches=order, seed=1000 + seed)
            curves.append((yield Trial(setting, self._steps)))
        return {
            "name": name,
            "own": update is None,
            "rate": rate,
            "curves": curves,
            "scores": [_tail(c, self._steps) for c in curves],
        }

    def facts(self, paired: bool) -> dict[str, Any]:
        """The curves of all that were compared; nothing if the user's own was not."""
        if len(self._found) < 2:
            return {}
        return {"steps": self._steps, "methods": self._found, "paired": paired, "optimizer": self._loop.lead.name}


def _tail(losses: list[float], steps: int) -> float:
    tail = max(round(steps * TAIL), 1)
    whole = len(losses) >= steps and all(math.isfinite(each) for each in losses)
    return float(np.mean(losses[-tail:])) if whole else math.inf
