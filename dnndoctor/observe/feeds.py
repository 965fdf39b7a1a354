"""The tensors that a loop without loaders takes its batches from: whole ones, or those that it indexes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import nn

from dnndoctor.observe.data import flat_tensors
from dnndoctor.observe.names import operation_name
from dnndoctor.observe.window import Window
from dnndoctor.recording.operations import LOSSES

TAKING = frozenset(("getitem", "index_select", "narrow"))
MOST_GATHERED = 64  # of one step
MOST_EVALUATED = 3  # tensors that are held: more are batches


class Feeds(Window):
    """Holds the last tensors that fed training and evaluation: by then they are what is left of the user's data.

    A batch is often a copy, and the script over, before anybody can look at what it was taken from.
    """

    name: ClassVar[str] = "feeds"

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self.inputs: torch.Tensor | None = None
        self.targets: torch.Tensor | None = None
        self.evaluated: dict[tuple[int, int], torch.Tensor] = {}
        self._gathered: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._input_rows = 0
        self._many = False

    def function(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],  # noqa: ARG002
        result: Any,
    ) -> None:
        """A batch is taken from a tensor, or a loss compares with its targets."""
        name = operation_name(func)
        if name in TAKING:
            source = args[0] if args else None
            if isinstance(source, torch.Tensor) and isinstance(result, torch.Tensor) and _a_batch(result, source):
                if len(self._gathered) >= MOST_GATHERED:
                    self._gathered.clear()
                self._gathered[id(result)] = (result, source)
        elif name in LOSSES and torch.is_grad_enabled() and len(args) > 1 and isinstance(args[1], torch.Tensor):
            target = args[1]
            if not target.requires_grad and target.dim() and len(target) == self._input_rows:
                self.targets = self._source(target)

    def called(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A model is given its batch."""
        if len(self.watch.stack) != 1 or self.watch.loaders.current is not None:
            return  # a batch of a loader, whose dataset tells more
        given = next((each for each in flat_tensors((args, kwargs)) if each.dim() and not each.requires_grad), None)
        if given is None or not any(True for _ in module.parameters()):
            return
        if torch.is_grad_enabled():
            self.inputs, self._input_rows = self._source(given), len(given)
        else:
            self._note_evaluated(given.detach())

    def _note_evaluated(self, given: torch.Tensor) -> None:
        key = (given.data_ptr(), len(given))
        if key in self.evaluated or self._many:
            return
        if len(self.evaluated) >= MOST_EVALUATED:  # batches, of whatever
            self.evaluated.clear()
            self._many = True
        else:
            self.evaluated[key] = given

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:  # noqa: ARG002
        """The next step takes its own."""
        self._gathered.clear()

    def _source(self, tensor: torch.Tensor) -> torch.Tensor:
        taken = self._gathered.get(id(tensor))
        if taken is not None and taken[0] is tensor:
            return taken[1].detach()
        return tensor.detach()


def _a_batch(result: torch.Tensor, source: torch.Tensor) -> bool:
    whole = source.dim() >= 1 and not source.requires_grad and source.layout is torch.strided
    return whole and result.shape[1:] == source.shape[1:] and 0 < len(result) <= len(source) if result.dim() else False
