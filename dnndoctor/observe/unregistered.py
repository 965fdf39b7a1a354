"""Layers that a module holds in a plain list, tuple or dict: it calls them, but does not know them as its own."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.observe.arguments import attribute_set
from dnndoctor.observe.source import is_user_class, relative
from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch

DEEPEST = 3  # lists of dicts of lists


class Unregistered(Window):
    """Called modules with parameters that the calling module holds, and has not registered."""

    name = "unregistered"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._known: MutableMapping[nn.Module, MutableMapping[nn.Module, None]] = WeakIdKeyDictionary()
        self._found: dict[tuple[str, str], dict[str, Any]] = {}

    def called(self, module: nn.Module, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
        """Look who called a module that is registered with nobody."""
        stack = self.watch.stack
        if len(stack) < 2:
            return
        holder = stack[-2]
        known = self._known.get(holder)
        if known is None:
            known = self._known[holder] = WeakIdKeyDictionary(dict.fromkeys(holder.modules()))
        if module in known:
            return
        known[module] = None
        attribute = _holding(holder, module)
        if attribute is not None and any(p.requires_grad for p in module.parameters()):
            self._note(holder, attribute, module)

    def _note(self, holder: nn.Module, attribute: str, module: nn.Module) -> None:
        modules = self.watch.modules
        key = (type(holder).__name__, attribute)
        if key not in self._found:
            place = assigned(type(holder), attribute) or modules.location(module)
            self._found[key] = {
                "holder": type(holder).__name__,
                "attribute": attribute,
                "container": type(vars(holder)[attribute]).__name__,
                "location": place,
                "modules": [],
                "parameters": [],
            }
        found = self._found[key]
        path = modules.path(module)
        found["modules"].append(path)
        found["parameters"] += [f"{path}.{name}" for name, p in module.named_parameters() if p.requires_grad]

    def facts(self) -> dict[str, Any] | None:
        """The containers, each with its line and what is in it."""
        return {"containers": list(self._found.values())} if self._found else None


def _holding(holder: nn.Module, module: nn.Module) -> str | None:
    """The attribute whose plain container has the module in it."""
    held = vars(holder).items()
    return next((key for key, value in held if any(each is module for each in _inside(value))), None)


def _inside(value: Any, depth: int = 0) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)) and depth < DEEPEST and len(value) < 1000:
        for each in value:
            if isinstance(each, nn.Module):
                yield each
            else:
                yield from _inside(each, depth + 1)


def assigned(cls: type, attribute: str) -> Location | None:
    """Where a class of the user's sets ``self.attribute`` first."""
    for each in cls.__mro__:
        if each is object or not is_user_class(each):
            continue
        try:
            file, (lines, start) = inspect.getsourcefile(each), inspect.getsourcelines(each)
        except (OSError, TypeError):
            continue
        place = attribute_set(relative(file or ""), attribute, start, start + len(lines))
        if place is not None:
            return place
    return None
