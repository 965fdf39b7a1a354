"""Layers that are built while a forward pass runs: new random weights each time, which no optimizer ever meets."""

from __future__ import annotations

import inspect
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.observe.source import is_user_class
from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch


class BuiltInForward(Window):
    """Lines that build a layer with parameters inside of a user's ``forward``, and the steps in which they did."""

    name = "built-in-forward"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._new: MutableMapping[nn.Module, Location | None] = WeakIdKeyDictionary()  # None: counted
        self._lines: dict[tuple[str, int], dict[str, Any]] = {}

    def module_built(self, module: nn.Module, location: Location | None) -> None:
        """Remember one that a forward of the user's builds; what a library builds for itself is its own affair."""
        watch = self.watch
        inside = watch.deep and watch.observing and bool(watch.stack) and not watch.inside_backward
        if inside and location is not None and is_user_class(type(watch.stack[-1])):
            self._new[module] = location

    def called(self, module: nn.Module, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
        """Only what is called, and not as a part of something else that is new, counts."""
        location = self._new.get(module)
        if location is None:
            return
        self._new[module], stack = None, self.watch.stack
        if len(stack) < 2 or any(each in self._new for each in stack[:-1]):
            return
        entries = sum(p.numel() for p in module.parameters() if p.requires_grad)
        if not entries:
            return
        line = self._lines.setdefault(
            (location.file, location.line),
            {
                "location": location,
                "class": type(module).__name__,
                "holder": self.watch.modules.path(stack[-2]) or type(stack[-2]).__name__,
                "entries": entries,
                "kinds": sorted({type(each).__name__ for each in module.modules() if _has_own(each)}),
                "parts": [built for each in module.modules() if (built := self.watch.modules.location(each))],
                "arguments": _arguments(module),
                "built": 0,
                "steps": [],
            },
        )
        line["built"] += 1
        if self.watch.step not in line["steps"]:
            line["steps"].append(self.watch.step)

    def facts(self) -> dict[str, Any] | None:
        """The lines."""
        return {"lines": list(self._lines.values())} if self._lines else None


def _has_own(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))


def _arguments(module: nn.Module) -> str:
    """How a layer of the library's own is built, with what is not its default; "" where that is not plain."""
    if not type(module).__module__.startswith("torch.nn.modules") or any(True for _ in module.children()):
        return ""
    given = []
    for name, parameter in inspect.signature(type(module)).parameters.items():
        value = _plain(getattr(module, name, None))
        value = value is not None if name == "bias" else value
        if parameter.default is inspect.Parameter.empty:
            if not isinstance(value, (int, float, tuple)):
                return ""
            given.append(repr(value))
        elif value is not None and value != parameter.default and isinstance(value, (int, float, str)):
            given.append(f"{name}={value!r}")
    return ", ".join(given)


def _plain(value: Any) -> Any:
    """One number for several equal ones."""
    alike = isinstance(value, tuple) and len(value) > 0 and all(each == value[0] for each in value)
    return value[0] if alike else value
