"""A file that defines a model and no loop: its names are put into a plain loop of ours, watched like any other.

Taken by name: ``model`` (else the only ``nn.Module`` subclass of the file that can be built without arguments),
``train_loader`` (else ``train_data``, a dataset), ``loss_fn`` and ``optimizer``, each an object or a function;
``optimizer`` may be a function of the parameters. What is missing is chosen, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

BATCH = 32
RATE = 1e-3
MOST_STEPS = 2000


class ModelFile:
    """What the file offers; ``chosen`` says what it left to us."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.chosen: list[str] = []
        self._names = names
        self.model = self._model()
        self.loader = self._loader()

    @property
    def complete(self) -> bool:
        """Whether there is something to train on something."""
        return self.model is not None and self.loader is not None

    def train(self) -> None:
        """The plain loop; whoever watches it ends it."""
        assert self.model is not None
        assert self.loader is not None
        loss_fn, optimizer = self._names.get("loss_fn"), self._optimizer(self.model)
        if loss_fn is None:
            self.chosen.append("loss: cross-entropy for class targets, squared error for others")
        self.model.train()
        steps = 0
        while steps < MOST_STEPS:
            for inputs, targets in self.loader:
                optimizer.zero_grad()
                output = self.model(inputs)
                loss = (loss_fn or guessed_loss)(output, targets)
                loss.backward()
                optimizer.step()
                steps += 1

    def _model(self) -> nn.Module | None:
        model = self._names.get("model")
        if isinstance(model, nn.Module):
            return model
        own = [each for each in self._names.values() if _is_own_module(each, self._names.get("__name__"))]
        make: Callable[[], Any] | None = model if callable(model) else own[0] if len(own) == 1 else None
        if make is None:
            return None
        try:
            built = make()
        except TypeError:
            return None  # it wants arguments that nobody gave
        return built if isinstance(built, nn.Module) else None

    def _loader(self) -> Iterable[Any] | None:
        loader = _called(self._names.get("train_loader"))
        if loader is not None:
            found: Iterable[Any] = loader
            return found
        data = _called(self._names.get("train_data"))
        if data is None:
            return None
        self.chosen.append(f"loader: batches of {BATCH}, shuffled")
        return DataLoader(data, batch_size=BATCH, shuffle=True)

    def _optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        given = self._names.get("optimizer")
        if isinstance(given, torch.optim.Optimizer):
            return given
        if callable(given):
            built = given(model.parameters())
            assert isinstance(built, torch.optim.Optimizer)
            return built
        self.chosen.append(f"optimizer: AdamW at {RATE:g}")
        return torch.optim.AdamW(model.parameters(), lr=RATE)


def guessed_loss(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy where the targets are class indices, mean squared error otherwise."""
    if not targets.is_floating_point() and output.dim() > targets.dim():
        return functional.cross_entropy(output, targets)
    return functional.mse_loss(output, targets.to(output.dtype).reshape(output.shape))


def _called(value: Any) -> Any:
    return (
        value() if callable(value) and not hasattr(value, "__iter__") and not hasattr(value, "__getitem__") else value
    )


def _is_own_module(value: Any, name: Any) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == name
