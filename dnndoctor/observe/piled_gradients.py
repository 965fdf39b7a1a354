"""Gradients that pile up in models that no optimizer holds: a target network or teacher that is not detached."""

from __future__ import annotations

import math
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.observe import steps
from dnndoctor.observe.transforms import readable
from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    from dnndoctor.observe.watch import Watch

LOOKED_AT = frozenset((1, 2, 4, 6, 10, 14, 20, 30, 40))
MOST_PARAMETERS = 32


class PiledGradients(Window):
    """Norms of the gradients of whole models outside of all optimizers, at a few steps."""

    name = "piled-gradients"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._norms: MutableMapping[nn.Module, list[list[float]]] = WeakIdKeyDictionary()
        self._last = -1

    def before_step(self, _optimizer: torch.optim.Optimizer) -> None:
        """Look at them once in a step."""
        step = self.watch.step
        if step not in LOOKED_AT or step == self._last:
            return
        self._last = step
        held = {id(p) for each in self.watch.optimizer_built for group in each.param_groups for p in group["params"]}
        held |= {id(p) for each in self.watch.optimizers for p in each.parameters()}
        for top in self.watch.modules.tops:
            parameters = [p for p in top.parameters() if p.requires_grad and readable(p)]
            if not parameters or any(id(p) in held for p in parameters):
                continue
            found = [p for p in parameters[:MOST_PARAMETERS] if p.grad is not None]
            norm = math.sqrt(sum(each**2 for each in steps.norms_of([p.grad for p in found]) if each))
            if norm:
                self._norms.setdefault(top, []).append([step, norm])

    def facts(self) -> dict[str, Any] | None:
        """Every such model, with steps and norms; ``copy_of`` names a trained model of the same class."""
        if not self._norms:
            return None
        modules = self.watch.modules
        held = {id(p) for each in self.watch.optimizers for p in each.parameters()}
        trained = [top for top in modules.tops if any(id(p) in held for p in top.parameters())]
        return {
            "models": [
                {
                    "model": modules.path(top) or type(top).__name__,
                    "location": modules.location(top),
                    "norms": norms,
                    "parameters": sum(p.numel() for p in top.parameters() if readable(p)),
                    "copy_of": next((type(each).__name__ for each in trained if type(each) is type(top)), None),
                    "call": self._call(top),
                }
                for top, norms in self._norms.items()
            ]
        }

    def _call(self, top: nn.Module) -> Any:
        name = self.watch.modules.path(top) or type(top).__name__
        groups = self.watch.passes.groups.values()
        return next((each.location for each in groups if each.model == name and each.gradients), None)
