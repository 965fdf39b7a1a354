"""Whether training is on the next step of a sequence: the loss's target is the model's input, one step on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.observe.names import operation_name
from dnndoctor.observe.transforms import readable
from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    from dnndoctor.observe.watch import Watch

LAST_STEP = 6
MOST_ENTRIES = 20_000
EQUAL = 0.99  # of the targets; special tokens may be put in here and there
ALIKE = 0.9  # more than this at the same step: the sequence is constant, or the task is to copy
FEWEST_STEPS = 3
LOSSES = frozenset("cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy".split())


@dataclass(frozen=True, slots=True)
class Shift:
    """``input``: the number of the tensor among the model's inputs; ``axis``: that of its steps. ``equal``: share of
    the ``compared`` targets that are the next step's input."""

    input: int
    axis: int
    equal: float
    compared: int


class NextStep(Window):
    """Compares targets with the inputs of the model that was called last, in the first steps."""

    name = "next-step"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._found: MutableMapping[nn.Module, list[Shift]] = WeakIdKeyDictionary()

    def of(self, module: nn.Module) -> Shift | None:
        """The shift that every target of this model showed; None where one did not."""
        seen = self._found.get(module) or []
        if not seen or len({(each.input, each.axis) for each in seen}) > 1 or min(each.equal for each in seen) < EQUAL:
            return None
        return replace(seen[0], equal=min(each.equal for each in seen), compared=sum(each.compared for each in seen))

    def function(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], _result: Any) -> None:
        """A loss is taken."""
        name = getattr(func, "__name__", "")
        if name not in LOSSES or self.watch.step >= LAST_STEP or not torch.is_grad_enabled():
            return
        target = args[1] if len(args) > 1 else kwargs.get("target")
        if operation_name(func) not in LOSSES or not isinstance(target, torch.Tensor) or not readable(target):
            return
        ignored = kwargs.get("ignore_index", -100)
        for module, call in list(self.watch.root_inputs.items()):
            inputs = [each for each in tree_leaves(call) if isinstance(each, torch.Tensor) and readable(each)]
            shifts = [s for number, each in enumerate(inputs) for s in _shifts(each, number, target.detach(), ignored)]
            if shifts:
                self._found.setdefault(module, []).append(max(shifts, key=lambda each: each.equal))


def _shifts(given: torch.Tensor, number: int, target: torch.Tensor, ignored: int) -> Iterator[Shift]:
    """For either axis that may be that of the steps."""
    given = given.detach()
    if given.dim() < 2 or given.numel() > MOST_ENTRIES or given.dtype.is_floating_point != target.is_floating_point():
        return
    for axis in (1, 0):
        steps, others = int(given.shape[axis]), given.numel() // max(int(given.shape[axis]), 1)
        if steps < FEWEST_STEPS or not others:
            continue
        shape = list(given.shape)
        for length in (steps, steps - 1):
            shape[axis] = length
            if target.numel() != length * others:
                continue
            turned, wanted = given.movedim(axis, 0), target.reshape(shape).movedim(axis, 0)
            now = turned[:-1]
            wanted = wanted[: steps - 1]
            counted = wanted != ignored
            total = int(counted.sum())
            if not total:
                continue
            equal = float(((turned[1:] == wanted) & counted).sum()) / total
            alike = float(((now == wanted) & counted).sum()) / total
            if alike <= ALIKE:
                yield Shift(number, axis, equal, total)
