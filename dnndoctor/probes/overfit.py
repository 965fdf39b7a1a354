"""One batch again and again: a sound model learns it by heart.

At the user's rate, the sweep's best and a third of that, in the loop's own mode; ended as soon as the loss has fallen
far enough. Where none does and dropout is active, once more without it. Samples of the batch that are the same but
for their targets cannot be told apart by any model: what they cost stays, and is computed (``contradictions``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

from dnndoctor.probes.dropouts import attribute_of
from dnndoctor.probes.experiment import Plan, Planned, Setting, Trial
from dnndoctor.probes.loop import Loop

MOST_STEPS = 200
LEARNED = 0.1  # of the loss at the start: far enough down
HALFWAY, PATIENCE = 0.4, 100  # what is down there after so many steps learns, and has a floor of its own (smoothing)
POINTS = 50  # of each curve in the recording


class OverfitOneBatch(Planned):
    """Up to three rates, and perhaps one trial without dropout."""

    name = "overfit-one-batch"

    def __init__(self) -> None:
        super().__init__()
        self._trials: list[dict[str, Any]] = []
        self._floor: dict[str, Any] = {}

    def refusal(self, loop: Loop) -> str | None:
        """Batches that can be served again are needed."""
        return loop.no_rates() or loop.no_served_batches()

    def plan(self, loop: Loop, steps: int) -> Plan:
        """One rate after the other, until one has learned the batch."""
        trainers = [each for each in loop.watch.loaders.training() if each.kept]
        self._floor = contradictions(trainers[0].kept[0]) if trainers else {}
        each = max(min(MOST_STEPS, steps // 3), 20)
        for rate in rates(loop):
            yield from self._try(rate, None, each)
            if self._trials[-1]["final"] <= HALFWAY * self._trials[-1]["start"]:
                return
        if any(attribute_of(module) for module in loop.modules()):
            best = min(self._trials, key=lambda t: t["final"] if np.isfinite(t["final"]) else np.inf)
            yield from self._try(best["rate"], 0.0, each)

    def _try(self, rate: float, dropout: float | None, steps: int) -> Plan:
        losses = yield Trial(Setting(rate=rate, batches=(0,), dropout=dropout), steps, enough)
        tail = losses[-max(len(losses) // 10, 1) :]
        self._trials.append(
            {
                "rate": rate,
                "dropout": dropout is None,
                "steps": len(losses),
                "start": losses[0],
                "final": float(np.mean(tail)),
                "learned": learned(losses),
                "curve": losses[:: max(len(losses) // POINTS, 1)],
            }
        )

    def facts(self, paired: bool) -> dict[str, Any]:
        """The trials; none if the first was not finished."""
        return {"trials": self._trials, "paired": paired, **self._floor} if self._trials else {}


def learned(losses: list[float]) -> bool:
    """Whether the loss of three steps in a row is a tenth of the first one, or less."""
    return len(losses) > 3 and all(0 <= each <= LEARNED * losses[0] for each in losses[-3:])


def enough(losses: list[float]) -> bool:
    """Whether more steps would tell nothing new."""
    return learned(losses) or (len(losses) >= PATIENCE and all(0 <= e <= HALFWAY * losses[0] for e in losses[-10:]))


def rates(loop: Loop) -> list[float]:
    """The user's, the best and a third of that; a decade around the user's where no best is known."""
    own, best = loop.user_rate, loop.best_rate
    wanted = [own, own / 3, own * 3] if best is None else [own, best, best / 3]
    return list(dict.fromkeys(wanted))


def contradictions(batch: Any) -> dict[str, Any]:
    """Of samples that are the same in all but their target: how many, and what they cost the best of models.

    ``entropy``: nats per sample of class targets; ``variance``: of float targets, mean over their entries.
    """
    tensors = [t for t in tree_leaves(batch) if isinstance(t, torch.Tensor) and t.dim() > 0]
    if len(tensors) < 2 or any(len(t) != len(tensors[0]) for t in tensors):
        return {}
    *inputs, target = (t.detach().cpu() for t in tensors)
    rows = [b"".join(t[i].contiguous().reshape(-1).numpy().tobytes() for t in inputs) for i in range(len(target))]
    groups: dict[bytes, list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(row, []).append(number)
    count, entropy, variance = 0, 0.0, 0.0
    for members in groups.values():
        values = target[members].reshape(len(members), -1).double()
        if len(members) > 1 and bool((values != values[:1]).any()):
            count += len(members)
            variance += float(values.var(0, unbiased=False).mean()) * len(members)
            _, counts = np.unique(values.numpy(), axis=0, return_counts=True)
            share = counts / len(members)
            entropy += float(-(share * np.log(share)).sum()) * len(members)
    samples = max(len(target), 1)
    floor = {"variance": variance / samples} if target.is_floating_point() else {"entropy": entropy / samples}
    return {"samples": samples, "contradicting": count, **floor}
