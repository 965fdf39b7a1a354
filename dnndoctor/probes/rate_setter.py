"""The rate of one step, and what the loop had afterwards."""

from __future__ import annotations

from typing import Any

import torch


class RateSetter:
    """Sets the rate for one step and puts back what the loop had."""

    def __init__(self, lead: torch.optim.Optimizer) -> None:
        self._lead = lead
        self._share: dict[int, list[float]] = {}
        self._before: dict[int, list[Any]] = {}

    def set(self, optimizer: torch.optim.Optimizer, rate: float) -> None:
        """Before the step: this rate for the lead optimizer, and the others in the proportion that they had."""
        if id(optimizer) not in self._share:
            self._share[id(optimizer)] = self._shares(optimizer)
        shares = self._share[id(optimizer)]
        self._before[id(optimizer)] = [group["lr"] for group in optimizer.param_groups]
        for group, share in zip(optimizer.param_groups, shares, strict=False):
            old = group["lr"]
            group["lr"] = torch.full_like(old, rate * share) if isinstance(old, torch.Tensor) else rate * share

    def _shares(self, optimizer: torch.optim.Optimizer) -> list[float]:
        """Taken at the first trial's step, all at one moment: between two of them a schedule moves the rates."""
        lead = max((float(group.get("lr", 0.0)) for group in self._lead.param_groups), default=0.0)
        rates = [float(group.get("lr", 0.0)) for group in optimizer.param_groups]
        return [rate / lead if lead > 0 and rate > 0 else 1.0 for rate in rates]

    def put_back(self, optimizer: torch.optim.Optimizer) -> None:
        """After the step."""
        before = self._before.pop(id(optimizer), None)
        if before is not None:
            for group, old in zip(optimizer.param_groups, before, strict=False):
                group["lr"] = old
