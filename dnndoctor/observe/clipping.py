"""Calls of gradient clipping: the norm before each, and its limit."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.utils import clip_grad

from dnndoctor.findings import Location
from dnndoctor.observe.source import caller
from dnndoctor.observe.window import Border, Window

MOST_CALLS = 256


class Clipping(Window):
    """Watches ``clip_grad_norm_``."""

    name = "clipping"

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self._norms: list[tuple[int, torch.Tensor, float]] = []  # step, norm before, limit
        self._read: list[list[float]] = []
        self._location: Location | None = None

    def install(self, border: Border) -> None:
        """Wrap it in both modules that have it."""
        for owner in (nn.utils, clip_grad):
            original = owner.clip_grad_norm_
            border.patch(owner, "clip_grad_norm_", self._noting(original, border.shielded(self._note)))

    @staticmethod
    def _noting(original: Callable[..., Any], note: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def clip(parameters: Any, max_norm: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(parameters, max_norm, *args, **kwargs)
            note(result, max_norm)
            return result

        return clip

    def _note(self, norm: Any, limit: Any) -> None:
        watch = self.watch
        if not (watch.deep and watch.observing) or len(self._read) + len(self._norms) >= MOST_CALLS:
            return
        if isinstance(norm, torch.Tensor) and norm.numel() == 1 and isinstance(limit, (int, float)):
            self._location = self._location or caller()
            self._norms.append((watch.step, norm.detach().clone().reshape(()), float(limit)))

    def facts(self) -> dict[str, Any] | None:
        """Step, norm and limit of every call."""
        self._read += [[step, float(norm), limit] for step, norm, limit in self._norms]
        self._norms.clear()
        return {"location": self._location, "calls": self._read} if self._read else None
