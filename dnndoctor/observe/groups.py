"""The optimizers' groups: their settings, the rates over the steps, and how weight decay compares with the data."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.observe import sampling
from dnndoctor.observe.arguments import argument
from dnndoctor.observe.transforms import readable
from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    from dnndoctor.observe.steps import OptimizerFacts
    from dnndoctor.observe.watch import Watch

MOST_NAMES, MOST_RATES = 2000, 64
MOST_PARAMETERS = 32  # whose decay is compared
ENTRIES = 1024
EVERY = 5  # steps
NO_SUCH_ATTRIBUTES = ("lr", "learning_rate", "rate")
NO_SUCH_KEYS = ("learning_rate", "learning-rate", "rate", "LR", "Lr")


@dataclass
class GroupFacts:
    """One optimizer's rates by step, and its decay at sampled steps."""

    rates: list[list[float]] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)  # of the decay to the data, median over weights
    norms: list[float] = field(default_factory=list)  # of the decayed weights
    before: list[tuple[torch.Tensor, torch.Tensor, float, float]] = field(default_factory=list)


class Groups(Window):
    """What every optimizer's groups hold."""

    name = "groups"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._seen: MutableMapping[Any, GroupFacts] = WeakIdKeyDictionary()

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Note the rates; now and then what the decay adds to the gradient."""
        facts = self._seen.setdefault(optimizer, GroupFacts())
        if len(facts.rates) < MOST_RATES:
            facts.rates.append([float(group.get("lr", 0.0)) for group in optimizer.param_groups[:8]])
        facts.before = []
        if self.watch.step % EVERY == 0 and type(optimizer).__module__.startswith("torch.optim"):
            facts.before = _decayed(optimizer)

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """How much of the change the decay was."""
        facts = self._seen.get(optimizer)
        if facts is None or not facts.before:
            return
        coupled = not _decoupled(optimizer)
        figures = [_figures(*each, coupled=coupled) for each in facts.before]
        table = torch.stack([each.to(figures[0].device) for each in figures])
        decay, data, size = table.T.tolist()
        shares = sorted(d / max(g, 1e-30) for d, g in zip(decay, data, strict=True))
        facts.ratios.append(shares[len(shares) // 2])
        facts.norms.append(sum(each * each for each in size) ** 0.5)
        facts.before = []

    def facts(self) -> dict[str, Any] | None:
        """By optimizer index."""
        found = [each for each in self.watch.optimizers if not each.by_hand]
        return {"optimizers": [self._facts(each) for each in found]} if found else None

    def _facts(self, each: OptimizerFacts) -> dict[str, Any]:
        optimizer = each.optimizer
        seen = self._seen.get(optimizer, GroupFacts())
        ours = type(optimizer).__module__.startswith("torch.optim")
        known = set(optimizer.defaults)
        return {
            "index": each.index,
            "decay_location": argument(self.watch.optimizer_built.get(optimizer), "weight_decay"),
            "library": ours,
            "groups": [self._group(group) for group in optimizer.param_groups[:50]],
            "rates": seen.rates,
            "decay_ratios": seen.ratios,
            "decayed_norms": seen.norms,
            "decoupled": _decoupled(optimizer),
            "odd_attributes": [key for key in NO_SUCH_ATTRIBUTES if ours and key in vars(optimizer)],
            "odd_keys": [key for key in NO_SUCH_KEYS if ours and key not in known and key in optimizer.param_groups[0]],
        }

    def _group(self, group: dict[str, Any]) -> dict[str, Any]:
        names = self.watch.forward.parameter_names
        return {
            "learning_rate": float(group.get("lr", 0.0)),
            "weight_decay": float(group.get("weight_decay", 0.0) or 0.0),
            "entries": sum(p.numel() for p in group["params"] if readable(p)),
            "names": [names.get(id(p), "") for p in group["params"][:MOST_NAMES]],
        }


def _decoupled(optimizer: torch.optim.Optimizer) -> bool:
    return type(optimizer).__name__ == "AdamW" or bool(optimizer.param_groups[0].get("decoupled_weight_decay"))


def _decayed(optimizer: torch.optim.Optimizer) -> list[tuple[torch.Tensor, torch.Tensor, float, float]]:
    """Of decayed weights: the parameter, its values and gradient sampled, the decay, the rate."""
    found = []
    for group in optimizer.param_groups:
        decay = float(group.get("weight_decay", 0.0) or 0.0)
        if decay <= 0:
            continue
        for p in group["params"]:
            if p.grad is None or p.dim() < 2 or p.grad.is_sparse or not readable(p) or not readable(p.grad):
                continue
            values = torch.stack([sampling.flat_sample(p, ENTRIES), sampling.flat_sample(p.grad, ENTRIES)])
            found.append((p, values.clone(), decay, float(group.get("lr", 0.0))))
            if len(found) >= MOST_PARAMETERS:
                return found
    return found


def _figures(
    parameter: torch.Tensor, values: torch.Tensor, decay: float, rate: float, *, coupled: bool
) -> torch.Tensor:
    """Norms of what the decay and what the data add to the update, and of the weight as it is now, [3]."""
    before, gradient = values.float()
    now = sampling.flat_sample(parameter, ENTRIES).float()
    pull = decay * before
    # Where it is decoupled, the data's part of the step is what is left of the change without the decay.
    push = gradient if coupled else (now - before) + rate * pull
    scale = 1.0 if coupled else rate
    norm = torch.linalg.vector_norm
    return torch.stack([scale * norm(pull), norm(push), norm(now)])
