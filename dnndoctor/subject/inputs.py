"""What a model is called with: tensors described by sizes and kind, made of fake, random or real data."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

BATCH = -1  # in ``sizes``: as many as there are samples


@dataclass(frozen=True, slots=True)
class Leaf:
    """One tensor without its batch dimension; without one at all (``edge_index``) where it is not ``batched``.

    ``kind``: "float", "int", "bool" or "order" (0, 1, 2, ...: offsets). Integers are below ``high``; 0: nothing limits
    them yet. ``scale``: the model itself divides by it (raw pixels by 255); 0: it does not.
    """

    sizes: tuple[int, ...]
    kind: str = "float"
    high: int = 0
    batched: bool = True
    scale: float = 0.0

    def shape(self, batch: int) -> tuple[int, ...]:
        """The whole shape for so many samples."""
        sizes = tuple(batch if each == BATCH else each for each in self.sizes)
        return (batch, *sizes) if self.batched else sizes

    def told(self, batch: int) -> str:
        """In words."""
        high = batch if self.high == BATCH else self.high
        kind = {"int": f"integers below {high}" if high else "integers", "bool": "booleans", "order": "0, 1, 2, ..."}
        floats = f"floats from 0 to {self.scale:g}" if self.scale else "floats"
        return f"{kind.get(self.kind, floats)} {list(self.shape(batch))}"


class Bag(dict[str, Any]):
    """A batch that is read by key or by attribute."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]


@dataclass(frozen=True)
class Inputs:
    """All tensors of one call, by path: "x", or "batch.x" for what is inside of a ``Bag``.

    ``keywords`` names the arguments that go by name.
    """

    leaves: Mapping[str, Leaf]
    keywords: frozenset[str] = field(default_factory=frozenset)

    def call(
        self, tensors: Mapping[str, Any], missing: Callable[[str], Any] | None = None
    ) -> tuple[list[Any], dict[str, Any]]:
        """Arguments and keywords from tensors by path; ``missing`` is asked for keys that a bag does not hold."""
        values: dict[str, Any] = {}
        for path, tensor in tensors.items():
            argument, _, key = path.partition(".")
            if key:
                values.setdefault(argument, _bag(argument, missing))
                if key != "*":
                    values[argument][key] = tensor
            else:
                values[argument] = tensor
        args = [value for name, value in values.items() if name not in self.keywords]
        return args, {name: value for name, value in values.items() if name in self.keywords}

    def told(self, batch: int) -> str:
        """In words, for a reader who knows the model's forward."""
        named = len(self.leaves) > 1 or any("." in path for path in self.leaves)
        parts = [f"{path}: {leaf.told(batch)}" if named else leaf.told(batch) for path, leaf in self.leaves.items()]
        return "; ".join(parts) or "none"


def _bag(argument: str, missing: Callable[[str], Any] | None) -> Bag:
    if missing is None:
        return Bag()
    ask = missing

    class Asking(Bag):
        def __missing__(self, key: str) -> Any:
            return ask(f"{argument}.{key}")

    return Asking()


def unwrapped(model: nn.Module) -> nn.Module:
    """The module that the user wrote, without what was put around it."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def forward_parameters(model: nn.Module) -> list[inspect.Parameter]:
    """The parameters of ``forward``; empty where they cannot be read."""
    try:
        signature = inspect.signature(unwrapped(model).forward)
    except (TypeError, ValueError):
        return []
    return [each for each in signature.parameters.values() if each.name != "self"]


def required(parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    """Those that a caller has to give; the first of ``*args`` counts where there is no other."""
    usual = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = [each for each in parameters if each.default is each.empty and each.kind in usual]
    if not found:
        found = [each for each in parameters if each.kind is each.VAR_POSITIONAL]
    return found


def random_tensor(leaf: Leaf, batch: int, generator: torch.Generator | None = None) -> torch.Tensor:
    """Standard normal floats, integers below the limit, booleans that are true."""
    shape = leaf.shape(batch)
    if leaf.kind == "int":
        high = batch if leaf.high == BATCH else max(leaf.high, 1)
        return torch.randint(0, high, shape, generator=generator)
    if leaf.kind == "bool":
        return torch.ones(shape, dtype=torch.bool)
    if leaf.kind == "order":
        return torch.arange(shape[0])
    return torch.randn(shape, generator=generator)
