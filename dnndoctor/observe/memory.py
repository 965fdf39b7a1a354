"""How much of the memory training takes, while only the user's own steps run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from dnndoctor.observe import device
from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    from dnndoctor.observe.watch import Watch

LOOKED_AT = frozenset((2, 10, 30, 49))


class Memory(Window):
    """Peak and limit of the memory that the parameters lie in; asking for them waits for no accelerator."""

    name = "memory"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._facts: dict[str, Any] | None = None

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Look at a few steps."""
        if self.watch.step not in LOOKED_AT:
            return
        first = next((p for group in optimizer.param_groups for p in group["params"]), None)
        kind = first.device.type if first is not None else "cpu"
        if kind == "cuda":
            peak, limit = device.allocated_peak_bytes(), device.total_bytes()
        else:
            peak, limit = device.peak_resident_bytes(), device.host_limit_bytes()
        if peak is not None and limit is not None and kind in ("cpu", "cuda"):
            self._facts = {"device": kind, "peak": peak, "limit": limit}

    def facts(self) -> dict[str, Any] | None:
        """``peak`` and ``limit`` in bytes, of ``device``."""
        return self._facts
