"""Tensors that a module trains by its own account, but holds as plain attributes: no parameters of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import ref

import torch
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.observe.source import is_user_class
from dnndoctor.observe.unregistered import assigned
from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch

MOST = 200
CHECKS = 5


@dataclass
class Loose:
    """One such tensor; ``container``: the class of the list or dict that it is in, "" of an attribute."""

    tensor: ref[torch.Tensor]
    holder: str
    attribute: str
    container: str
    location: Location | None
    learning: bool = False
    held: bool = False
    before: torch.Tensor | None = None  # a few of its values when its first gradient was seen
    checked: int = 0  # steps after which they were compared
    moved: bool = False  # by the script itself, as an adversarial offset is


class LooseTensors(Window):
    """Leaves that require a gradient, found in user's modules at their first call."""

    name = "loose-tensors"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._seen: MutableMapping[nn.Module, None] = WeakIdKeyDictionary()
        self._found: list[Loose] = []

    def called(self, module: nn.Module, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
        """Look through what the module holds, once."""
        if module in self._seen:
            return
        self._seen[module] = None
        if not is_user_class(type(module)) or len(self._found) >= MOST:
            return
        own = {id(p) for p in module.parameters()}
        for attribute, value in vars(module).items():
            for tensor in _leaves(value):
                if id(tensor) not in own:
                    container = "" if isinstance(value, torch.Tensor) else type(value).__name__
                    name, place = type(module).__name__, assigned(type(module), attribute)
                    self._found.append(Loose(ref(tensor), name, attribute, container, place))

    def before_step(self, _optimizer: torch.optim.Optimizer) -> None:
        """Which of them have a gradient, and which does an optimizer hold."""
        for each in self._found:
            tensor = each.tensor()
            if tensor is None or tensor.grad is None or each.checked >= CHECKS:
                continue
            if each.before is not None:
                each.checked += 1
                each.moved = each.moved or not torch.equal(_few(tensor), each.before)
            else:
                each.learning, each.before = bool(tensor.grad.any()), _few(tensor).clone()
                groups = [g for one in self.watch.optimizer_built for g in one.param_groups]
                each.held = any(p is tensor for group in groups for p in group["params"])

    def facts(self) -> dict[str, Any] | None:
        """Those that get a gradient and are held by no optimizer, by attribute."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for each in self._found:
            if each.learning and each.checked and not each.held and not each.moved:
                facts = {"holder": each.holder, "attribute": each.attribute, "container": each.container}
                line = found.setdefault((each.holder, each.attribute), {**facts, "location": each.location, "count": 0})
                line["count"] += 1
        return {"attributes": list(found.values())} if found else None


def _few(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().flatten()[:64]


def _leaves(value: Any) -> Iterator[torch.Tensor]:
    """Trainable tensors that are the value itself or stand in it as a list or dict."""
    values = list(value.values()) if isinstance(value, Mapping) else value
    for each in values if isinstance(values, (list, tuple)) and len(values) < 1000 else [values]:
        if isinstance(each, torch.Tensor) and each.requires_grad and each.is_leaf:
            yield each
