"""Autograd functions of the user's own, with small copies of what they were applied to."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch

from dnndoctor.findings import Location
from dnndoctor.observe.source import caller, is_user_class
from dnndoctor.observe.transforms import readable, transformed
from dnndoctor.observe.window import Border, Window

MOST_FUNCTIONS = 16
MOST_ENTRIES = 1 << 18


@dataclass
class Applied:
    """One function's first application; ``args`` are copies, or None with the ``reason`` where none could be taken."""

    function: type[torch.autograd.Function]
    location: Location | None
    args: tuple[Any, ...] | None
    kwargs: dict[str, Any]
    reason: str = ""
    calls: int = 1


class CustomFunctions(Window):
    """Watches ``Function.apply``."""

    name = "custom-functions"

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.applied: dict[type, Applied] = {}

    def install(self, border: Border) -> None:
        """Wrap ``apply`` in the class that all functions inherit it from."""
        original: Any = vars(torch.autograd.Function)["apply"]
        inner, note = original.__func__, border.shielded(self._note)

        @functools.wraps(inner)
        def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
            note(cls, args, kwargs)
            return inner(cls, *args, **kwargs)

        border.patch(torch.autograd.Function, "apply", classmethod(apply))

    def _note(self, cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        watch = self.watch
        if not (watch.deep and watch.observing) or watch.inside_backward or not torch.is_grad_enabled():
            return
        if cls in self.applied:
            self.applied[cls].calls += 1
            return
        tensors = [each for each in (*args, *kwargs.values()) if isinstance(each, torch.Tensor)]
        if len(self.applied) >= MOST_FUNCTIONS or transformed() or not is_user_class(cls):
            return
        if not any(each.requires_grad for each in tensors):
            return
        if not all(readable(each) and each.layout is torch.strided for each in tensors):
            self.applied[cls] = Applied(cls, caller(), None, {}, "its inputs are no plain tensors")
        elif sum(each.numel() for each in tensors) > MOST_ENTRIES:
            self.applied[cls] = Applied(cls, caller(), None, {}, "its inputs are too large")
        else:
            copies = tuple(_copy(each) for each in args)
            self.applied[cls] = Applied(cls, caller(), copies, {k: _copy(v) for k, v in kwargs.items()})

    def facts(self) -> dict[str, Any] | None:
        """Who was applied, and how often."""
        found = [
            {"name": cls.__name__, "location": each.location, "calls": each.calls} for cls, each in self.applied.items()
        ]
        return {"functions": found} if found else None


def _copy(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    return value.detach().clone().requires_grad_(value.requires_grad)
