"""What a model gives: the heads that a loss can be made of, or the loss itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dnndoctor.subject.tracing import Tracer

_LOSS_KEYS = ("loss", "losses", "total_loss")


@dataclass(frozen=True, slots=True)
class Head:
    """One tensor of the output; ``shape`` with the batch.

    ``place``: how it is got at, empty for the output itself. ``made_by``: the last operation. ``sources``: the inputs
    that it was made from.
    """

    place: tuple[str | int, ...]
    shape: tuple[int, ...]
    made_by: str = ""
    sources: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Output:
    """``loss``: the place of a loss that the model makes itself. ``heads``: what else carries gradients to parameters.

    ``others``: differentiable tensors that reach no parameter which the heads before do not (states, intermediate
    features). ``inputs``: shapes of the inputs by path. ``trains``: whether any gradient reaches any parameter.
    """

    heads: tuple[Head, ...]
    others: tuple[Head, ...]
    loss: tuple[str | int, ...] | None
    inputs: Mapping[str, tuple[int, ...]]
    trains: bool = True


def parts(
    value: Any, place: tuple[str | int, ...] = (), depth: int = 3
) -> list[tuple[tuple[str | int, ...], torch.Tensor]]:
    """Every tensor of an output with its place, in order."""
    if isinstance(value, torch.Tensor):
        return [(place, value)]
    if depth == 0 or value is None:
        return []
    if isinstance(value, Mapping):
        items: list[tuple[str | int, Any]] = [(str(k), v) for k, v in value.items()]
    elif isinstance(value, (tuple, list)):
        items = list(enumerate(value))
    elif hasattr(value, "__dataclass_fields__"):
        items = [(name, getattr(value, name, None)) for name in value.__dataclass_fields__]
    else:
        items = [(name, each) for name, each in getattr(value, "__dict__", {}).items() if not name.startswith("_")]
    return [found for key, each in items for found in parts(each, (*place, key), depth - 1)]


def at(value: Any, place: tuple[str | int, ...]) -> Any:
    """The tensor at a place."""
    for key in place:
        value = value[key] if isinstance(key, int) or isinstance(value, Mapping) else getattr(value, key)
    return value


def read_output(value: Any, inputs: Mapping[str, tuple[int, ...]], trace: Tracer, model: nn.Module) -> Output:
    """Sort the tensors of an output."""
    found = [(place, t) for place, t in parts(value) if t.is_floating_point() and t.requires_grad]
    loss = next((place for place, t in found if t.numel() == 1 and _is_loss(place, t, len(found))), None)
    reached: set[int] = set()
    heads: list[Head] = []
    others: list[Head] = []
    for place, tensor in found:
        if place == loss:
            continue
        head = Head(place, tuple(map(int, tensor.shape)), trace.maker.get(id(tensor), ""), trace.sources(tensor))
        new = _reached(tensor, model) - reached
        (heads if new else others).append(head)
        reached |= new
    return Output(tuple(heads), tuple(others), loss, dict(inputs), bool(found))


def _is_loss(place: tuple[str | int, ...], tensor: torch.Tensor, count: int) -> bool:
    named = bool(place) and isinstance(place[-1], str) and any(key in place[-1].lower() for key in _LOSS_KEYS)
    return named or tensor.dim() == 0 or (count == 1 and tensor.shape == (1,))


def _reached(tensor: torch.Tensor, model: nn.Module) -> set[int]:
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        return set()
    grads = torch.autograd.grad(tensor.sum(), parameters, retain_graph=True, allow_unused=True)
    return {id(p) for p, g in zip(parameters, grads, strict=True) if g is not None}
