"""Several backward passes before one step: of what, on how many batches, and whether they were averaged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from dnndoctor.findings import Location
from dnndoctor.observe.data import flat_tensors
from dnndoctor.observe.loaders import LoaderFacts
from dnndoctor.observe.window import Window
from dnndoctor.recording.operations import LOSSES

MEANS = LOSSES | {"mean"}


@dataclass
class Since:
    """What happened since the last step."""

    roots: list[tuple[str, Location | None, bool]] = field(default_factory=list)  # operation, call, plain mean
    batches: int = 0
    inputs: set[tuple[Any, ...]] = field(default_factory=set)
    left: torch.Tensor | None = None  # norm of one gradient after the last backward
    parameter: torch.Tensor | None = None


class Accumulation(Window):
    """Watches what backward runs on between two steps."""

    name = "accumulation"

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self._since = Since()
        self._steps: list[dict[str, Any]] = []
        self._rescaled: list[tuple[int, torch.Tensor, torch.Tensor]] = []
        self._location: Location | None = None

    def batch(self, loader: LoaderFacts, batch: Any) -> None:  # noqa: ARG002
        """A batch was taken."""
        self._since.batches += 1

    def called(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:  # noqa: ARG002
        """A model is called."""
        if len(self.watch.stack) == 1 and torch.is_grad_enabled() and next(module.parameters(), None) is not None:
            for tensor in flat_tensors(args)[:1]:
                if tensor.layout is torch.strided:
                    self._since.inputs.add((tensor.data_ptr(), tuple(tensor.shape)))

    def before_backward(self, roots: list[torch.Tensor]) -> None:
        """Backward is about to run."""
        watch = self.watch
        if len(self._since.roots) >= 64 or len(roots) != 1:
            return
        root = watch.unscaled.get(id(roots[0]), roots[0])
        index = watch.forward.maker(root)
        if index is None:
            self._since.roots.append(("", None, False))
            return
        operation = watch.forward.operations[index]
        plain = operation.name in MEANS and operation.attributes.get("reduction", "mean") == "mean"
        self._since.roots.append((operation.name, operation.call, plain))

    def after_backward(self, roots: list[torch.Tensor]) -> None:  # noqa: ARG002
        """The gradients are there: one of them is known again by its norm."""
        if len(self._since.roots) < 2 or not self.watch.optimizers:
            return
        parameters = self.watch.optimizers[0].parameters()
        held = next((p for p in parameters if p.grad is not None and p.grad.layout is torch.strided), None)
        if held is not None and held.grad is not None:
            self._since.left, self._since.parameter = torch.linalg.vector_norm(held.grad.detach()), held

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """The first optimizer closes the account."""
        since, watch = self._since, self.watch
        if not watch.optimizers or watch.optimizers[0].optimizer is not optimizer:
            return
        if len(since.roots) > 1:
            names = {each[:2] for each in since.roots}
            self._steps.append(
                {
                    "backwards": len(since.roots),
                    "alike": len(names) == 1,
                    "plain": all(plain for _, _, plain in since.roots),
                    "batches": max(since.batches, len(since.inputs)),
                }
            )
            self._location = self._location or since.roots[0][1]
            grad = since.parameter.grad if since.parameter is not None else None
            if since.left is not None and grad is not None:
                now = torch.linalg.vector_norm(grad.detach())
                self._rescaled.append((len(self._steps) - 1, since.left, now))

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:  # noqa: ARG002
        """A new account is opened: what led to another optimizer's step, as of the next model's, is no lead's."""
        self._since = Since()

    def facts(self) -> dict[str, Any] | None:
        """Every step that several backwards led to."""
        for at, left, now in self._rescaled:
            self._steps[at]["rescaled"] = not torch.allclose(left, now, rtol=1e-3)
        self._rescaled.clear()
        return {"steps": self._steps, "location": self._location} if self._steps else None
