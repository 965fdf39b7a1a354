"""The plain loop that models without a loop of their own are put into, and how it reads the batches of others."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader

from dnndoctor.subject.inputs import forward_parameters, required, unwrapped
from dnndoctor.subject.objective import by_targets
from dnndoctor.subject.outputs import parts

MOST_STEPS = 2000
EPOCH = 60  # steps, where the batches come from something else than a DataLoader
EVALUATION = 4  # batches
LABELS = ("label", "labels", "target", "targets", "y")


class BadTarget(ValueError):
    """What was given cannot be trained; the message is one line that says what to do."""


@dataclass(frozen=True)
class Call:
    """One batch, taken apart. ``target`` is None where the batch has none."""

    args: tuple[Any, ...]
    keywords: Mapping[str, Any]
    target: Any = None

    @property
    def inputs(self) -> Any:
        """What the model is given, as a loss of a reconstruction needs it."""
        return self.args[0] if self.args else next(iter(self.keywords.values()), None)


Feed = Callable[[Any], Call]
LossOf = Callable[[Any, Call], torch.Tensor]


class PlainLoop:
    """Epochs of forward, loss, backward, step; then an evaluation and the scheduler. Whoever watches it ends it."""

    def __init__(
        self,
        model: nn.Module,
        loader: Iterable[Any],
        feed: Feed,
        loss: LossOf,
        optimizer: torch.optim.Optimizer,
        scheduler: Any = None,
        validation: Iterable[Any] | None = None,
    ) -> None:
        self._model = model
        self._loader = loader
        self._feed = feed
        self._loss = loss
        self._optimizer = optimizer
        self._scheduler = scheduler
        # An evaluation shows what a model does in its other mode; without data of its own, on the same batches.
        self._validation = validation if validation is not None else loader

    def run(self) -> None:
        """Train for ``MOST_STEPS``; raises BadTarget where that cannot be done."""
        set_mode(self._model, True)
        steps = 0
        while steps < MOST_STEPS:
            took, loss = self._epoch()
            if not took:
                raise BadTarget("the training data gave no batch")
            steps += took
            self._evaluate()
            if self._scheduler is not None:
                plateau = isinstance(self._scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
                self._scheduler.step(*([loss.item()] if plateau else []))

    def _epoch(self) -> tuple[int, torch.Tensor]:
        """The number of its steps, and the loss of the last: to read it here would be an operation that is watched."""
        took, last = 0, torch.zeros(())
        batches = self._loader if isinstance(self._loader, DataLoader) else islice(self._loader, EPOCH)
        for batch in batches:
            call = self._feed(batch)
            self._optimizer.zero_grad()
            loss = self._loss(self._model(*call.args, **call.keywords), call)
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            took, last = took + 1, loss
        return took, last

    def _evaluate(self) -> None:
        set_mode(self._model, False)
        with torch.no_grad():
            for batch in islice(self._validation, EVALUATION):
                call = self._feed(batch)
                self._model(*call.args, **call.keywords)
        set_mode(self._model, True)


def set_mode(model: nn.Module, training: bool) -> None:
    """As ``model.train()``, also where a class has a method of that name that is something else."""
    try:
        model.train() if training else model.eval()
    except TypeError:
        nn.Module.train(model, training)


class Reader:
    """Takes batches apart by what the model's ``forward`` asks for."""

    def __init__(self, model: nn.Module) -> None:
        parameters = forward_parameters(model)
        self._names = [p.name for p in parameters]
        self._required = required(parameters)
        self._count = max(len([p for p in self._required if p.kind is not p.VAR_POSITIONAL]), 1)
        first = next(iter(model.parameters()), None)
        self._device = first.device if first is not None else torch.device("cpu")

    def __call__(self, batch: Any) -> Call:
        """Tensors go to the model's device, arrays become tensors."""
        batch = tree_map(self._moved, batch)
        if isinstance(batch, (tuple, list)) and not hasattr(batch, "_fields"):
            return self._of_sequence(tuple(batch))
        named = _fields(batch)
        if named is not None:
            return self._of_fields(batch, named)
        return Call((batch.to(self._device) if hasattr(batch, "to") else batch,), {})

    def _moved(self, value: Any) -> Any:
        value = torch.as_tensor(value) if isinstance(value, np.ndarray) else value
        return value.to(self._device) if isinstance(value, torch.Tensor) and value.device != self._device else value

    def _of_sequence(self, batch: tuple[Any, ...]) -> Call:
        if len(batch) == 1:
            return self(batch[0]) if not isinstance(batch[0], torch.Tensor) else Call(batch, {})
        nested = isinstance(batch[0], (tuple, list, Mapping))
        if len(batch) == self._count and self._count > 1 and not nested:
            return Call(batch, {})
        inputs, target = batch[:-1], batch[-1]
        if len(inputs) == 1:
            [inner] = inputs
            if isinstance(inner, (tuple, list)) and self._count > 1:
                return Call(tuple(inner), {}, target)
            if isinstance(inner, Mapping) and self._takes(inner):
                return Call((), dict(inner), target)
            return Call((inner,), {}, target)
        return Call(inputs if self._count > 1 or self._open else inputs[:1], {}, target)

    @property
    def _open(self) -> bool:
        return any(p.kind is p.VAR_POSITIONAL for p in self._required)

    def _takes(self, named: Mapping[str, Any]) -> bool:
        return bool(named) and all(name in self._names for name in named)

    def _of_fields(self, batch: Any, named: Mapping[str, Any]) -> Call:
        target = next((named[name] for name in LABELS if name in named), None)
        if self._takes(named):
            return Call((), dict(named), target)
        asked = {name: value for name, value in named.items() if name in self._names}
        rest = {name: value for name, value in named.items() if name not in LABELS}
        if asked and {p.name for p in self._required} <= set(asked):
            return Call((), asked, target)
        if len(rest) == 1 and self._count == 1 and not self._wants_whole(batch):
            return Call(tuple(rest.values()), {}, target)
        return Call((batch,), {}, target)

    def _wants_whole(self, batch: Any) -> bool:
        hint = self._required[0].annotation if self._required else None
        return (isinstance(hint, type) and isinstance(batch, hint)) or self._names[:1] in (["batch"], ["data"])


def _fields(batch: Any) -> dict[str, Any] | None:
    """The named parts of a batch, or None if it has none."""
    if isinstance(batch, Mapping):
        return {str(name): value for name, value in batch.items()}
    if hasattr(batch, "_fields"):
        return dict(zip(batch._fields, batch, strict=True))
    if is_dataclass(batch) and not isinstance(batch, type):
        return {each.name: getattr(batch, each.name) for each in fields(batch)}
    if hasattr(batch, "keys") and hasattr(batch, "to") and callable(batch.keys):  # graphs of torch_geometric
        return {name: getattr(batch, name, None) for name in list(batch.keys())}
    return None


class UserLoss:
    """A loss of the user's, called with as many arguments as it takes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._takes = _positional(function)

    def __call__(self, output: Any, call: Call) -> torch.Tensor:
        """``(output)``, ``(output, target)`` or ``(output, target, *further outputs)``; no target: the input."""
        target = call.target if call.target is not None else call.inputs
        if self._takes == 1:
            loss = self._function(output)
        elif isinstance(output, (tuple, list)) and self._takes == len(output) + 1 > 2:
            loss = self._function(output[0], target, *output[1:])
        else:
            loss = self._function(output, target)
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
            got = f"shape {list(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
            raise BadTarget(f"the loss function gave {got}; it has to give one number (as with reduction='mean')")
        return _differentiable(loss)


class GuessedLoss:
    """Where the user gave data and no loss; ``told`` says what was chosen, at the first batch."""

    def __init__(self) -> None:
        self.told: str | None = None

    def __call__(self, output: Any, call: Call) -> torch.Tensor:
        """Raises BadTarget where no loss is known."""
        target = call.target
        if target is None and not any(t.dim() == 0 for _, t in parts(output)):
            target = call.inputs
        try:
            loss, told = by_targets(output, target)
        except ValueError as why:
            raise BadTarget(str(why)) from None
        self.told = self.told or (
            f"{told} (the batch has no targets: its inputs are)" if target is call.inputs else told
        )
        return _differentiable(loss)


def _differentiable(loss: torch.Tensor) -> torch.Tensor:
    if not loss.requires_grad:
        raise BadTarget("the loss carries no gradient: the model's output was detached, or nothing in it is trainable")
    return loss


def _positional(function: Callable[..., Any]) -> int:
    """How many arguments it asks for; 2 where that cannot be read."""
    called = unwrapped(function).forward if isinstance(function, nn.Module) else function
    try:
        parameters = inspect.signature(called).parameters.values()
    except (TypeError, ValueError):
        return 2
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds and p.default is p.empty for p in parameters) or 2
