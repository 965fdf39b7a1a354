"""One hook on all modules, that is there only in the steps in which somebody wants to hear what some of them put out.

Hooks of the modules themselves would be copied, saved and scripted together with them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from dnndoctor.observe.transforms import transformed

CALLS_TIMED = 32


class Listener(Protocol):
    """Whoever wants to hear of modules. ``seconds``: what hearing has cost, which is added to."""

    seconds: float

    def heard(self, name: str, module: nn.Module, output: Any) -> None:
        """One of them has returned, in a forward pass that will be differentiated; may raise nothing."""


class Ear:
    """Tells what modules return. It is shared, since each hook on all modules costs every call of any of them."""

    def __init__(self) -> None:
        self._listening: dict[int, tuple[str, Listener]] = {}
        self._handle: Any = None
        self._dispatch = 0.0  # seconds by which a hook that has nothing to do delays a call
        self._unpaid = 0.0

    def listen(self, modules: Iterable[tuple[str, nn.Module]], listener: Listener) -> None:
        """Hear these modules, by their names, until ``close``."""
        for name, module in modules:
            self._listening[id(module)] = name, listener
        if self._handle is None and self._listening:
            self._dispatch = self._dispatch or _dispatch_seconds()
            self._handle = register_module_forward_hook(self._returned)

    def close(self) -> None:
        """Hear nothing any more."""
        self._listening.clear()
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _returned(self, module: nn.Module, _args: Any, output: Any) -> None:
        self._unpaid += self._dispatch
        found = self._listening.get(id(module))
        if found is None or not torch.is_grad_enabled() or transformed():
            return
        began = time.perf_counter()
        name, listener = found
        with torch.no_grad(), torch._C.DisableTorchFunction():
            listener.heard(name, module, output)
        listener.seconds += time.perf_counter() - began + self._unpaid
        self._unpaid = 0.0


def _dispatch_seconds() -> float:
    """What any hook on all modules costs a call, which nothing inside of it can measure."""
    one, value = nn.Identity(), torch.zeros(())

    def timed() -> float:
        began = time.perf_counter()
        for _ in range(CALLS_TIMED):
            one(value)
        return time.perf_counter() - began

    timed()
    bare = timed()
    handle = register_module_forward_hook(lambda *_: None)
    try:
        return max(timed() - bare, 0.0) / CALLS_TIMED
    finally:
        handle.remove()
