"""Tensors that are moved to the accelerator again in every step although they are the same ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from dnndoctor.observe import device
from dnndoctor.observe.source import caller
from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch

MOST_PLACES = 64
TIMED_AT = 3  # steps after which one copy is timed, once for each place


class Transfers(Window):
    """Copies from the host to an accelerator, by place and by what is copied."""

    name = "transfers"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._seen: dict[tuple[Location | None, int, tuple[int, ...]], dict[str, Any]] = {}

    def function(self, func: Callable[..., Any], args: tuple[Any, ...], _kwargs: dict[str, Any], result: Any) -> None:
        """A tensor went to another device."""
        if getattr(func, "__name__", "") not in ("to", "cuda") or not isinstance(result, torch.Tensor):
            return
        source = args[0]
        if not isinstance(source, torch.Tensor) or source.device.type != "cpu" or result.device.type in ("cpu", "meta"):
            return
        key = (caller(), source.data_ptr(), tuple(source.shape))
        one = self._seen.get(key)
        if one is None:
            if len(self._seen) >= MOST_PLACES:
                return
            one = self._seen[key] = {"location": key[0], "bytes": source.nbytes, "steps": 0, "step": -1, "seconds": 0.0}
            one["version"] = source._version
        if source._version != one["version"] or one["step"] == self.watch.step:
            return  # a buffer that is filled anew is none of these
        one["step"] = self.watch.step
        one["steps"] += 1
        if one["steps"] == TIMED_AT:
            one["seconds"] = _timed(source, result.device)

    def facts(self) -> dict[str, Any] | None:
        """Those that went again: place, bytes, in how many steps, and what one copy takes."""
        again = [one for one in self._seen.values() if one["steps"] >= TIMED_AT]
        keys = ("location", "bytes", "steps", "seconds")
        return {"copies": [{key: one[key] for key in keys} for one in again]} if self._seen else None


def _timed(source: torch.Tensor, where: torch.device) -> float:
    device.synchronize()
    began = time.perf_counter()
    source.detach().to(where)
    device.synchronize()
    return time.perf_counter() - began
