"""Another optimizer in the place of the user's: theirs steps, its step is undone, and the other one's is made.

What the user's optimizer gathers meanwhile (moments, counts) is rolled back with everything else after the trial.
"""

from __future__ import annotations

from typing import Any

import torch

from dnndoctor.observe.watch import Watch
from dnndoctor.probes.experiment import Update


class StandIn:
    """Steps for every optimizer of the loop's, with the same rule and states of its own, for one trial."""

    def __init__(self, watch: Watch, update: Update) -> None:
        self._watch = watch
        self._update = update
        self._others: dict[int, torch.optim.Optimizer] = {}
        self._kept: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {}

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Keep the parameters as they are; their rates have been set to the trial's already."""
        every = [p for group in optimizer.param_groups for p in group["params"]]
        kept = self._kept.setdefault(id(optimizer), [])
        if len(kept) == len(every) and all(p is one for p, (one, _) in zip(every, kept, strict=True)):
            for p, copy in kept:
                copy.copy_(p.detach())
        else:
            self._kept[id(optimizer)] = [(p, p.detach().clone()) for p in every]

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Undo the user's step, and make the other one on the same gradients at the same rates."""
        if id(optimizer) not in self._kept:
            return
        with torch.no_grad():
            for parameter, copy in self._kept[id(optimizer)]:
                parameter.copy_(copy)
        other = self._others.get(id(optimizer))
        if other is None:
            other = self._others[id(optimizer)] = self._build(optimizer)
        for group, theirs in zip(other.param_groups, optimizer.param_groups, strict=True):
            group["lr"] = float(theirs["lr"])
        # The bare function: hooks on optimizers, ours among them, are for the user's own.
        step: Any = type(other).step
        getattr(step, "__wrapped__", step)(other)

    def _build(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        groups = [{"params": list(g["params"]), "lr": float(g["lr"])} for g in optimizer.param_groups]
        self._watch.building_own = True
        try:
            return self._update(groups)
        finally:
            self._watch.building_own = False
