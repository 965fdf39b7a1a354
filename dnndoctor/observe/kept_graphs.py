"""Whether autograd graphs live on from step to step: sums of losses with their graph, states that reach back.

The nodes of a graph carry running numbers. A number that is smaller than that of an earlier step's loss says that the
graph goes back to before that step. Graphs are walked at a few steps and up to a limit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ref

import torch
from torch import nn

from dnndoctor.observe.data import flat_tensors
from dnndoctor.observe.source import caller
from dnndoctor.observe.transforms import readable
from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch

WALKED = frozenset((1, 2, 3, 4, 6, 8, 12, 16, 20, 25))
MOST_NODES = 20_000
NEAR = 16  # nodes from the loss on that are looked at for a sum
LEAF = 2**63  # an accumulating node's number lies above
_SUMS = frozenset(("add", "__add__", "__radd__", "__iadd__", "add_"))


class KeptGraphs(Window):
    """What a backward pass reaches, and which sums are carried on over steps."""

    name = "kept-graphs"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._marks: list[int] = []  # the number of each step's last loss
        self._mark: int | None = None
        self._walked: list[list[int]] = []
        self._backward: Location | None = None
        self._carried: Location | None = None
        self._carried_as: tuple[int, str] | None = None
        self._sums: dict[int, tuple[ref[torch.Tensor], int]] = {}
        self._chains: dict[Location, set[int]] = {}
        self._summed_back: set[Location] = set()
        self._chain_of: dict[int, Location] = {}  # by the number of the sum's node

    def called(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look for a state that was made in an earlier step, and still has its graph."""
        if self._carried is not None or len(self.watch.stack) != 1 or not self._marks or not torch.is_grad_enabled():
            return
        if self._old((args, kwargs)):
            self._carried = caller()
            old = [(position, each) for position, each in enumerate(args) if self._old(each)]
            if len(old) == 1 and not self._old(kwargs):
                self._carried_as = (old[0][0], _form(old[0][1]))

    def _old(self, given: Any) -> bool:
        """Whether anything in it was made in an earlier step."""
        numbers = [_number(each) for each in flat_tensors(given)]
        return any(number is not None and number <= self._marks[-1] for number in numbers)

    def function(self, func: Callable[..., Any], args: tuple[Any, ...], _kwargs: dict[str, Any], result: Any) -> None:
        """A sum: perhaps one that goes on from an earlier step's."""
        if getattr(func, "__name__", "") not in _SUMS or not isinstance(result, torch.Tensor):
            return
        if not result.requires_grad or not readable(result) or result.numel() != 1:
            return
        step = self.watch.step
        for each in args[:2]:
            known = self._sums.get(id(each)) if isinstance(each, torch.Tensor) else None
            if known is not None and known[0]() is each and known[1] < step:
                place = caller()
                if place is not None:
                    self._chains.setdefault(place, set()).add(step)
                    number = _number(result)
                    if number is not None:
                        self._chain_of[number] = place
        if len(self._sums) > 500:
            self._sums = {key: one for key, one in self._sums.items() if one[0]() is not None}
        self._sums[id(result)] = (ref(result), step)

    def before_backward(self, roots: list[torch.Tensor]) -> None:
        """Note how far back the graph goes and how large it is."""
        for root in roots:
            number = _number(root)
            self._mark = number if number is not None else self._mark
        if self._chain_of:
            self._summed_back |= {self._chain_of[each] for each in _near(roots) if each in self._chain_of}
        if self.watch.step in WALKED and not any(step == self.watch.step for step, _, _ in self._walked):
            nodes, lowest = _walk(roots)
            back = sum(lowest <= mark for mark in self._marks)
            self._walked.append([self.watch.step, nodes, back])
            self._backward = self._backward or caller()

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """The step is over."""
        if self._mark is not None and (not self.watch.optimizers or optimizer is self.watch.optimizers[0].optimizer):
            self._marks.append(self._mark)
            self._mark = None

    def facts(self) -> dict[str, Any] | None:
        """``walked``: step, nodes and steps that the graph goes back, of the walked ones; ``sums``: by place."""
        if not self._walked:
            return None
        sums = [
            {"location": place, "steps": len(steps)}
            for place, steps in self._chains.items()
            if place not in self._summed_back
        ]
        return {
            "walked": self._walked,
            "sums": sums,
            "carried": self._carried,
            "carried_as": self._carried_as,
            "backward": self._backward,
        }


def _form(state: Any) -> str:
    """ "tensor", "tuple" of tensors, or "other"."""
    if isinstance(state, torch.Tensor):
        return "tensor"
    plain = isinstance(state, tuple) and all(isinstance(each, torch.Tensor) for each in state)
    return "tuple" if plain else "other"


def _number(tensor: Any) -> int | None:
    node = tensor.grad_fn if isinstance(tensor, torch.Tensor) and tensor.requires_grad else None
    return None if node is None else int(node._sequence_nr())


def _near(roots: list[torch.Tensor]) -> set[int]:
    """The numbers of the nodes next to the roots: a sum may be divided before backward is called on it."""
    pending = [each.grad_fn for each in roots if each.grad_fn is not None]
    found: set[int] = set()
    for node in pending:
        found.add(int(node._sequence_nr()))
        if len(pending) < NEAR:
            pending += [after for after, _ in node.next_functions if after is not None]
    return found


def _walk(roots: list[torch.Tensor]) -> tuple[int, int]:
    """How many nodes there are, up to the limit, and the lowest number among them."""
    pending = [each.grad_fn for each in roots if each.grad_fn is not None]
    seen: set[Any] = set(pending)
    lowest = LEAF
    while pending and len(seen) < MOST_NODES:
        node = pending.pop()
        number = int(node._sequence_nr())
        lowest = min(lowest, number) if number < LEAF else lowest
        for after, _ in node.next_functions:
            if after is not None and after not in seen:
                seen.add(after)
                pending.append(after)
    return len(seen), lowest
