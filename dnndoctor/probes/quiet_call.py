"""A model's recorded call, made again and again: same draws, same attributes, evaluation mode; it leaves nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from dnndoctor.observe.transforms import readable
from dnndoctor.probes.snapshot import RandomState

Call = tuple[tuple[Any, ...], dict[str, Any]]


class QuietCall:
    """``inputs``: the tensors of the call, in order; what else it was given stays as it is."""

    def __init__(self, module: nn.Module, call: Call) -> None:
        self._module = module
        leaves, self._tree = tree_flatten(call)
        self._leaves = [each.detach() if isinstance(each, torch.Tensor) else each for each in leaves]
        self._places = [i for i, each in enumerate(self._leaves) if isinstance(each, torch.Tensor) and readable(each)]
        self._random = RandomState()

    @property
    def inputs(self) -> list[torch.Tensor]:
        """The tensors that the model is given."""
        return [self._leaves[i] for i in self._places]

    def __call__(self, inputs: list[torch.Tensor] | None = None) -> list[torch.Tensor]:
        """The floating tensors that come out for these inputs, or for the recorded ones.

        Raises whatever the model raises.
        """
        leaves = list(self._leaves)
        for place, tensor in zip(self._places, self.inputs if inputs is None else inputs, strict=True):
            leaves[place] = tensor.clone()  # some models write into their inputs
        args, kwargs = tree_unflatten(leaves, self._tree)
        self._random.restore()
        with _evaluating(self._module), torch.enable_grad():
            output = self._module(*args, **kwargs)
        opened = dict(output) if hasattr(output, "keys") else output
        found = [each for each in tree_leaves(opened) if isinstance(each, torch.Tensor) and readable(each)]
        return [each.detach() for each in found if each.is_floating_point() and each.dim()]

    def repeats(self) -> tuple[list[torch.Tensor], bool]:
        """What comes out, and whether the same comes out a second time."""
        first, again = self(), self()
        return first, len(first) == len(again) and all(map(_same, first, again))


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and bool(torch.equal(one, other))


@contextlib.contextmanager
def _evaluating(root: nn.Module) -> Iterator[None]:
    """All parts in evaluation mode, without a call of the user's; attributes set meanwhile are taken back."""
    parts = [each for each in root.modules() if not isinstance(each, torch.jit.ScriptModule)]
    scripted = [(each, each.training) for each in root.modules() if isinstance(each, torch.jit.ScriptModule)]
    kept = [(vars(each), dict(vars(each)), dict(each._buffers)) for each in parts]
    try:
        for each in root.modules():
            each.training = False
        yield
    finally:
        for each, was in scripted:
            each.training = was
        for attributes, before, buffers in kept:
            attributes.clear()
            attributes.update(before)
            attributes["_buffers"].clear()
            attributes["_buffers"].update(buffers)


def calls_of(watch: Any, most: int) -> list[tuple[nn.Module, Call]]:
    """The last calls of whole models that were trained, at most so many."""
    every = list(watch.root_inputs.items())
    whole = [(module, call) for module, call in every if watch.modules.top(module) is module] or every
    return [each for each in whole if any(p.requires_grad for p in each[0].parameters())][:most]


def changed(inputs: list[torch.Tensor], where: Callable[[torch.Tensor], torch.Tensor | None]) -> list[torch.Tensor]:
    """The inputs with those replaced for which ``where`` gives another tensor."""
    return [each if (other := where(each)) is None else other for each in inputs]
