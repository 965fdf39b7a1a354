"""How near inputs come to where a function or its gradient is not finite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from dnndoctor.findings import Location
from dnndoctor.observe.names import operation_name
from dnndoctor.observe.source import caller
from dnndoctor.observe.transforms import readable
from dnndoctor.observe.window import Window

LIMITED = frozenset("log log2 log10 sqrt rsqrt div reciprocal exp acos asin".split())
DIVISORS = frozenset(("div",))
MOST_PLACES = 64


@dataclass
class Met:
    """The ends of what one place was given: the least magnitude and the largest value, [2] per sampled step."""

    operation: str
    location: Location | None
    module: str
    dtype: str
    ends: list[torch.Tensor] = field(default_factory=list)
    least: float = float("inf")
    largest: float = float("-inf")


class Domains(Window):
    """Watches functions of limited domain or range on differentiable inputs."""

    name = "domains"

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self._names: dict[Any, str] = {}
        self._met: dict[tuple[Any, ...], Met] = {}

    def function(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:  # noqa: ARG002
        """A torch function was called."""
        name = self._names.get(func)
        if name is None:
            name = operation_name(func)
            name = name if name in LIMITED else ""
            if len(self._names) < 2000:
                self._names[func] = name
        if not name or not self.watch.forward.sampling or not torch.is_grad_enabled() or not args:
            return
        reflected = getattr(func, "__name__", "").startswith("__r")  # 1 / x calls x.__rdiv__(1)
        given = args[1] if name in DIVISORS and len(args) > 1 and not reflected else args[0]
        if not isinstance(given, torch.Tensor) or not given.requires_grad or not given.is_floating_point():
            return
        if not readable(given) or given.layout is not torch.strided or not given.numel():
            return
        place = (name, caller())
        met = self._met.get(place)
        if met is None:
            if len(self._met) >= MOST_PLACES:
                return
            module = self.watch.modules.path(self.watch.stack[-1]) if self.watch.stack else ""
            met = self._met[place] = Met(name, place[1], module, str(given.dtype).removeprefix("torch."))
        if len(met.ends) < 64:
            value = given.detach()
            met.ends.append(torch.stack([value.abs().amin(), value.amax()]).float())

    def facts(self) -> dict[str, Any] | None:
        """The ends of every place."""
        for met in self._met.values():
            if met.ends:
                ends = torch.stack(met.ends).cpu()
                met.least = min(met.least, float(ends[:, 0].min()))
                met.largest = max(met.largest, float(ends[:, 1].max()))
                met.ends.clear()
        keys = ("operation", "location", "module", "dtype", "least", "largest")
        return {"met": [{k: getattr(each, k) for k in keys} for each in self._met.values()]} if self._met else None
