"""Where inside of a model a change of one part of its input reaches others: two calls, compared operation by operation.

An operation whose inputs carry a change in at most their share, and whose output in more, has spread it. A reshape
spreads nothing by itself; one that tears an entry apart shows in how the change lies along the axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from dnndoctor.findings import Location
from dnndoctor.observe.names import operation_name
from dnndoctor.observe.source import caller
from dnndoctor.observe.transforms import readable

MOST_BYTES = 2**29
MOST_CALLS = 4000
TOLERANCE = 1e-5  # of the largest magnitude: below that it is rounding
RESHAPES = frozenset(("view", "reshape", "flatten", "unflatten", "view_as", "reshape_as", "resize", "contiguous"))


@dataclass
class Called:
    """One operation: what it is called, the user's line, the modules around it, who made its inputs, what it gave."""

    name: str
    location: Location | None
    modules: tuple[nn.Module, ...]
    makers: tuple[tuple[int, int], ...]  # each as number of the operation and of its output
    inputs: tuple[tuple[int, ...], ...]
    outputs: list[torch.Tensor] = field(default_factory=list)


class Trace(TorchFunctionMode):
    """Keeps what every operation gave, up to a limit."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Called] = []
        self._stack: list[nn.Module] = []
        self._maker: dict[int, tuple[int, int]] = {}
        self._held: list[torch.Tensor] = []  # so that no id is given twice
        self._bytes = 0

    def __torch_function__(
        self, func: Callable[..., Any], _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call it and keep a copy of the outcome."""
        result = func(*args, **(kwargs or {}))
        given = [each for each in tree_leaves((args, kwargs or {})) if isinstance(each, torch.Tensor)]
        made = [each for each in tree_leaves(result) if isinstance(each, torch.Tensor) and readable(each)]
        size = sum(each.numel() * each.element_size() for each in made)
        if not made or self._bytes + size > MOST_BYTES or len(self.calls) >= MOST_CALLS:
            return result
        makers = tuple(self._maker[id(each)] for each in given if id(each) in self._maker)
        shapes = tuple(tuple(each.shape) for each in given)
        one = Called(operation_name(func), caller(), tuple(self._stack), makers, shapes)
        one.outputs = [each.detach().clone() for each in made]
        self._bytes += size
        for number, each in enumerate(made):
            self._maker[id(each)] = len(self.calls), number
            self._held.append(each)
        self.calls.append(one)
        return result

    @contextmanager
    def running(self) -> Iterator[Trace]:
        """Trace what is called inside."""

        def enter(module: nn.Module, _args: Any) -> None:
            self._stack.append(module)

        def leave(_module: nn.Module, _args: Any, _output: Any) -> None:
            self._stack.pop()

        hooks = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave, always_call=True)]
        try:
            with torch._C._EnableTorchFunction(), self:  # where a border of ours has switched it off
                yield self
        finally:
            for each in hooks:
                each.remove()


def differs(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Where they differ by more than rounding, as booleans of their shape."""
    if one.shape != other.shape:
        return torch.ones(one.shape, dtype=torch.bool)
    if not (one.is_floating_point() or one.is_complex()):
        return one != other
    gap = (one - other).abs()
    finite = one.abs()[torch.isfinite(one.abs())]
    scale = float(finite.max()) if finite.numel() else 0.0
    return (gap > TOLERANCE * scale) | (torch.isnan(one) != torch.isnan(other))


class Spread:
    """How far one change went, operation by operation; ``share`` is the part of the input that was changed."""

    def __init__(self, before: Trace, after: Trace, share: float) -> None:
        self.calls = []
        self._share = share * 1.001
        self.masks: list[list[torch.Tensor]] = []  # by operation and output
        for one, other in zip(before.calls, after.calls, strict=False):
            if one.name != other.name:
                break
            self.calls.append(one)
            self.masks.append([differs(a, b) for a, b in zip(one.outputs, other.outputs, strict=False)])

    def first(self) -> Called | None:
        """The first operation that made more of the change, on the way to the end."""
        for number in sorted(self._way()):
            if self._spread(number) and not any(self._spread(each) for each, _ in self.calls[number].makers):
                return self.calls[number]
        return None

    def torn(self, entries: int) -> Called | None:
        """The first reshape on the way that tore one of so many entries apart."""
        for number in sorted(self._way()):
            one = self.calls[number]
            if one.name in RESHAPES and one.makers and self._tears(number, entries):
                return one
        return None

    def _tears(self, number: int, entries: int) -> bool:
        maker, output = self.calls[number].makers[0]
        before, after = self.masks[maker][output], self.masks[number][0]
        if before.numel() != after.numel() or not bool(after.any()) or not self._along_one_axis(before):
            return False
        swapped = before.dim() > 1 and before.shape[:2] == after.shape[:2][::-1] and before.shape[0] == entries
        if swapped and before.shape[0] != before.shape[1]:
            return True
        spans = [(int(_along(after, axis).sum()), size) for axis, size in enumerate(after.shape)]
        return not self._along_one_axis(after) and any(1 < there < size for there, size in spans)

    def _along_one_axis(self, mask: torch.Tensor) -> bool:
        return any(float(_along(mask, axis).float().mean()) <= self._share for axis in range(mask.dim()))

    def _spread(self, number: int) -> bool:
        return any(each.numel() and float(each.float().mean()) > self._share for each in self.masks[number])

    def _way(self) -> set[int]:
        """The operations that the last changed one was made from."""
        last = next((i for i in reversed(range(len(self.calls))) if self._spread(i)), None)
        found: set[int] = set()
        pending = [] if last is None else [last]
        while pending:
            number = pending.pop()
            if number not in found:
                found.add(number)
                pending += [maker for maker, _ in self.calls[number].makers]
        return found


def _along(mask: torch.Tensor, axis: int) -> torch.Tensor:
    """At which indices of the axis anything differs."""
    others = math.prod(mask.shape) // mask.shape[axis]
    return mask.movedim(axis, 0).reshape(mask.shape[axis], others).any(1)
