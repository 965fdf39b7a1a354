"""How much of a loss is chance: the same setting from several seeds, and how far batches agree on the gradient.

A seed decides the order of the batches and what is drawn in training (dropout, noise). At the end of the first trial
the parameters stand still, and the gradients of several batches are compared on a sample of their entries. Their mean
and variance give the simple noise scale of McCandlish et al. 2018 (An Empirical Model of Large-Batch Training,
section 2.2): the batch size at which a batch's noise is as large as the gradient itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dnndoctor.observe import sampling
from dnndoctor.observe.transforms import readable
from dnndoctor.probes.experiment import Plan, Planned, Setting, Trial
from dnndoctor.probes.loop import Loop

SEEDS = 3
STEPS = 40
TAIL = 0.3  # of a trial's steps that its score is the mean of
GRADIENTS = 16  # batches whose gradients are compared
ENTRIES = 512  # of each parameter's gradient


class Noise(Planned):
    """Three seeds, and gradients at fixed parameters."""

    name = "noise"

    def __init__(self) -> None:
        super().__init__()
        self._scores: list[float] = []
        self._gradients: list[NDArray[np.float64]] = []
        self._weights = np.zeros(0)
        self._latest: NDArray[np.float64] | None = None
        self._standing = -1  # the step from which on the parameters of the first trial stand still
        self._rate = 0.0
        self._one_batch = False
        self._batch_size = 0

    def plan(self, loop: Loop, steps: int) -> Plan:
        """The first seed's trial goes on with a rate of zero."""
        self._rate, self._one_batch = loop.better_rate, loop.one_batch
        self._batch_size = loop.batch_size * loop.watch.accumulation()
        each = max(min(STEPS, (steps - GRADIENTS) // SEEDS), 8)
        batches = min(loop.kept, GRADIENTS) or GRADIENTS

        def first(step: int) -> Setting:
            return self._seeded(loop, 0) if step < each else Setting(rate=0.0, batches=range(batches))

        self._standing = each
        losses = yield Trial(first, each + (0 if self._one_batch else batches))
        self._standing = -1
        self._score(losses[:each], each)
        for seed in range(1, SEEDS):
            self._score((yield Trial(self._seeded(loop, seed), each)), each)

    def _seeded(self, loop: Loop, seed: int) -> Setting:
        order = np.random.default_rng(seed).permutation(loop.kept).tolist() if loop.kept > 1 else None
        return Setting(rate=self._rate, batches=order, seed=1000 + seed)

    def _score(self, losses: list[float], steps: int) -> None:
        tail = max(round(steps * TAIL), 1)
        self._scores.append(float(np.mean(losses[-tail:])) if len(losses) == steps else float("inf"))

    def after_backward(self, parameters: Iterable[torch.Tensor]) -> None:
        """Keep a sample of the gradients of batches that the parameters stood still for."""
        if 0 <= self._standing <= self.step:
            there = [p.grad for p in parameters if p.grad is not None and readable(p.grad) and not p.grad.is_sparse]
            parts = [sampling.flat_sample(grad, ENTRIES) for grad in there]
            if parts:
                self._weights = np.concatenate(
                    [np.full(len(s), g.numel() / len(s)) for g, s in zip(there, parts, strict=True)]
                )
                self._latest = torch.cat([part.double().cpu() for part in parts]).numpy()

    def after_step(self, loss: float) -> Any:
        """The last backward of a step has left the gradients of its whole batch."""
        if self._latest is not None:
            self._gradients.append(self._latest)
            self._latest = None
        return super().after_step(loss)

    def restart_trial(self) -> None:
        """The gradients begin anew, too."""
        super().restart_trial()
        if self._standing >= 0:
            self._gradients, self._latest = [], None

    def facts(self, paired: bool) -> dict[str, Any]:
        """The spread over the seeds; the noise scale where four batches or more could be compared."""
        scores = [each for each in self._scores if np.isfinite(each)]
        if len(scores) < 2:
            return {}
        facts = {"rate": self._rate, "scores": self._scores, "spread": float(np.std(scores, ddof=1)), "paired": paired}
        if self._one_batch:
            return {**facts, "unscaled": "every step takes the same samples"}
        alike = [g for g in self._gradients if len(g) == len(self._gradients[0]) and np.isfinite(g).all()]
        if len(alike) < 4 or not self._batch_size:
            return {**facts, "unscaled": f"gradients of {len(alike)} batches could be compared"}
        return {
            **facts,
            "batch_size": self._batch_size,
            **noise_scale(np.stack(alike), self._weights, self._batch_size),
        }


def noise_scale(gradients: NDArray[np.float64], weights: NDArray[np.float64], batch_size: int) -> dict[str, Any]:
    """The simple noise scale in samples, with the range that leaving out one batch after the other gives.

    ``gradients`` [batches, entries]; ``weights`` [entries]: how many entries of the whole gradient each stands for.
    ``scale`` is infinite where the mean gradient does not stand clear of the noise at all.
    """
    count = len(gradients)
    scale = _scale(gradients, weights, batch_size)
    # The inverse stays finite and is better behaved; jackknife standard error (Efron and Stein 1981).
    inverse = np.array([1 / _scale(np.delete(gradients, i, 0), weights, batch_size) for i in range(count)])
    error = float(np.sqrt((count - 1) / count * ((inverse - inverse.mean()) ** 2).sum()))
    low, high = 1 / scale + 2 * error, 1 / scale - 2 * error
    return {
        "batches": count,
        "scale": scale,
        "scale_low": 1 / low if low > 0 else np.inf,
        "scale_high": 1 / high if high > 0 else np.inf,
    }


def _scale(gradients: NDArray[np.float64], weights: NDArray[np.float64], batch_size: int) -> float:
    variance = float((gradients.var(0, ddof=1) * weights).sum())
    mean = float((gradients.mean(0) ** 2 * weights).sum())
    signal = mean - variance / len(gradients)  # the mean of noisy gradients is longer than their expectation
    return batch_size * variance / signal if signal > 1e-12 * variance else np.inf
