"""Updates that no ``torch.optim`` optimizer makes: ``p.data -= lr * p.grad``, or an optimizer class of the user's own.

No hook tells of them. But between a backward pass and the next use of a parameter its value has changed: that is the
step. Where the change is the gradient times one factor, the factor is the learning rate.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from dnndoctor.findings import Location
from dnndoctor.observe import sampling, steps
from dnndoctor.observe.steps import UpdatesByHand
from dnndoctor.observe.transforms import readable

SAMPLE = 1024
PLAIN = 0.02  # of the change that the gradient may leave unexplained; rounding of float32 leaves 1e-4
MOST_NODES = 20_000


class ByHand:
    """From a backward pass to the update that follows it, if one does."""

    def __init__(self) -> None:
        self.pending = False
        self.optimizer: UpdatesByHand | None = None
        self.confirmed = False
        self.plain = True
        self.location: Location | None = None
        self.forward: tuple[Any, ...] | None = (
            None  # what was seen of the forward pass, where the next may begin unseen
        )
        self.norms: list[float | None] = []
        self.before: list[torch.Tensor] = []
        self._gradients: list[torch.Tensor | None] = []
        self._kept: list[torch.Tensor] = []
        self._ids: frozenset[int] = frozenset()
        self._rate = 0.0
        self._handed = self._begun = False

    def again(self) -> ByHand:
        """For the script's next run: other tensors, updated at the same rate."""
        fresh = ByHand()
        fresh.confirmed, fresh.plain, fresh._rate = self.confirmed, self.plain, self._rate
        return fresh

    @property
    def parameters(self) -> list[torch.Tensor]:
        """What is updated."""
        return self.optimizer.param_groups[0]["params"] if self.optimizer else []

    @property
    def rate(self) -> float:
        """The learning rate as it was measured; 0 where the change is not the gradient times one factor."""
        return self._rate if self.plain else 0.0

    def note(self, gradients: dict[torch.Tensor, torch.Tensor] | None, roots: list[torch.Tensor]) -> None:
        """A backward pass has run on ``roots``; ``gradients`` where they were not left in ``.grad``."""
        if self.optimizer is None:
            self.optimizer = UpdatesByHand(list(gradients) if gradients is not None else leaves(roots))
            self._ids = frozenset(map(id, self.parameters))
        elif gradients is not None:
            self.take_over(list(gradients))
        parameters = self.parameters
        self._take([gradients.get(p) if gradients is not None else p.grad for p in parameters])
        self.before = [_sample(p).clone() for p in parameters]
        self.pending, self._handed, self._begun = bool(parameters), gradients is not None, False

    def begin_update(self) -> None:
        """The update begins: the gradients are those of now, which may have been clipped since the backward pass."""
        if not self._begun and not self._handed:
            self._take([p.grad for p in self.parameters])
        self._begun = True

    def _take(self, gradients: list[torch.Tensor | None]) -> None:
        self._gradients = [_sample(g).clone() if g is not None else None for g in gradients]
        self.norms = steps.norms_of(gradients)

    def replaces(self, inputs: list[torch.Tensor]) -> bool:
        """Whether these stand in the place of the parameters, as ``w = w - rate * gradient`` makes new tensors."""
        shapes = [each.shape for each in self.parameters]
        return self.pending and [each.shape for each in inputs] == shapes and frozenset(map(id, inputs)) != self._ids

    def take_over(self, inputs: list[torch.Tensor]) -> None:
        """From now on these are the parameters."""
        assert self.optimizer is not None
        self.optimizer.param_groups[0]["params"] = inputs
        self._ids = frozenset(map(id, inputs))

    def touched(self, args: tuple[Any, ...]) -> torch.Tensor | None:
        """The parameter that a call takes, if it takes one."""
        return next((each for each in args if id(each) in self._ids), None)

    def keep(self) -> None:
        """Keep whole copies of the parameters, to scale the coming update."""
        self._kept = [p.detach().clone() for p in self.parameters]

    def changed(self) -> bool:
        """Whether an update was made since the backward pass.

        If not, none is awaited any more; unless the gradients were handed out, as the update itself may use the
        parameters then, and put new ones in their place.
        """
        changed = any(not torch.equal(_sample(p), old) for p, old in zip(self.parameters, self.before, strict=True))
        self.pending = not changed and self._handed
        return changed

    def measure_rate(self) -> None:
        """Read the learning rate off the change."""
        assert self.optimizer is not None
        self.confirmed = True
        rates = []
        for parameter, old, gradient in zip(self.parameters, self.before, self._gradients, strict=True):
            if gradient is None or not bool(gradient.any()):
                continue
            change = (_sample(parameter) - old).double()
            slope = gradient.double()
            rate = float(-(change @ slope) / (slope @ slope))
            rest = float(torch.linalg.vector_norm(change + rate * slope))
            rates.append(rate)
            self.plain = self.plain and rest <= PLAIN * float(torch.linalg.vector_norm(change)) + 1e-12
        if rates:
            middle = sorted(rates)[len(rates) // 2]
            self.plain = self.plain and middle > 0 and all(math.isclose(r, middle, rel_tol=0.05) for r in rates)
            self._rate = middle
            self.optimizer.param_groups[0]["lr"] = self.rate

    def scale(self, factor: float) -> None:
        """Make the update that was just made ``factor`` times as large."""
        with torch.no_grad():
            for parameter, old in zip(self.parameters, self._kept, strict=False):
                parameter.copy_(old + factor * (parameter.detach() - old))
        self._kept = []


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    dense = tensor.coalesce().values() if tensor.is_sparse else tensor
    return sampling.flat_sample(dense, SAMPLE).float()


def leaves(roots: list[torch.Tensor]) -> list[torch.Tensor]:
    """The tensors that backward on ``roots`` leaves a gradient in, in the order of the forward pass."""
    found: dict[int, torch.Tensor] = {}
    waiting: list[Any] = [root.grad_fn for root in roots if root.grad_fn is not None]
    seen = set(waiting)
    while waiting and len(seen) < MOST_NODES:
        node = waiting.pop()
        variable = getattr(node, "variable", None)
        if variable is not None and readable(variable) and variable.grad is not None:
            found[id(variable)] = variable
        for parent, _ in node.next_functions:
            if parent is not None and parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    return list(found.values())[::-1]


def is_look(function: Any) -> bool:
    """Whether a call reads an attribute, a value or a gradient, which is no use in a forward pass."""
    return getattr(function, "__name__", "") in _LOOKS


def is_update(function: Any, of_itself: bool) -> bool:
    """Whether a call is how updates by hand begin: ``p.data``, or a change in place, ``of_itself`` or in no_grad."""
    name = getattr(function, "__name__", "")
    owner = getattr(getattr(function, "__self__", None), "__name__", "")
    in_place = (name.endswith("_") and not name.startswith("_")) or name in ("__isub__", "__iadd__", "__imul__")
    changes = in_place and (of_itself or not torch.is_grad_enabled())
    return (name in ("__get__", "__set__") and owner == "data") or changes


_LOOKS = frozenset(
    "__get__ __set__ __delete__ item tolist detach numpy norm zero_ size dim numel requires_grad_".split()
)
