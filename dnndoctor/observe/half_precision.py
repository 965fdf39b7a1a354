"""Where numbers in half precision come near the ends of its range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from dnndoctor.findings import Location
from dnndoctor.observe import sampling
from dnndoctor.observe.names import operation_name
from dnndoctor.observe.source import caller
from dnndoctor.observe.transforms import readable
from dnndoctor.observe.window import Window

VANISHING = 2.0**-21  # eight times the smallest number of float16: three bits are left
MOST_PLACES = 64


@dataclass
class Place:
    """One operation in float16; ``counts``: gradient entries that are not zero, those next to vanishing, [2] each."""

    operation: str
    location: Location | None
    module: str
    largest: list[torch.Tensor] = field(default_factory=list)
    counts: list[torch.Tensor] = field(default_factory=list)
    peak: float = 0.0
    entries: float = 0.0
    vanishing: float = 0.0
    zeros: int = 0


class HalfPrecision(Window):
    """Watches outputs in float16 and the gradients at them."""

    name = "half-precision"

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self._places: dict[tuple[Any, ...], Place] = {}

    def function(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:  # noqa: ARG002
        """A torch function was called."""
        if not isinstance(result, torch.Tensor) or result.dtype is not torch.float16 or not result.requires_grad:
            return
        if not self.watch.forward.sampling or result.grad_fn is None or not readable(result) or not result.numel():
            return
        key = (
            operation_name(func),
            caller(),
            self.watch.modules.path(self.watch.stack[-1]) if self.watch.stack else "",
        )
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= MOST_PLACES:
                return
            place = self._places[key] = Place(*key)
        if len(place.largest) >= 64:
            return
        place.largest.append(sampling.largest(result))
        counts = place.counts

        def read(grads: tuple[torch.Tensor, ...]) -> None:
            grad = next((g for g in grads if isinstance(g, torch.Tensor)), None)
            if grad is not None and grad.dtype is torch.float16 and grad.layout is torch.strided:
                size = grad.detach().abs()
                counts.append(torch.stack([(size > 0).sum(), ((size > 0) & (size < VANISHING)).sum()]).float())

        result.grad_fn.register_prehook(read)

    def facts(self) -> dict[str, Any] | None:
        """The ends of every place."""
        for each in self._places.values():
            if each.largest:
                each.peak = max(each.peak, float(torch.stack(each.largest).max()))
                each.largest.clear()
            if each.counts:
                table = torch.stack(each.counts)
                each.zeros += int((table[:, 0] == 0).sum())
                entries, vanishing = table.sum(0).tolist()
                each.entries, each.vanishing = each.entries + entries, each.vanishing + vanishing
                each.counts.clear()
        keys = ("operation", "location", "module", "peak", "entries", "vanishing", "zeros")
        return {"places": [{k: getattr(e, k) for k in keys} for e in self._places.values()]} if self._places else None
