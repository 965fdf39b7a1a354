"""Everything that a trial may change, taken at a step border and put back bit for bit."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn


class RandomState:
    """The random streams of Python, numpy, torch and the accelerator."""

    def __init__(self) -> None:
        self._python = random.getstate()
        self._numpy = np.random.get_state()
        self._torch = torch.get_rng_state()
        self._devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []

    def restore(self) -> None:
        """Put all streams back."""
        random.setstate(self._python)
        np.random.set_state(self._numpy)
        torch.set_rng_state(self._torch)
        if self._devices:
            torch.cuda.set_rng_state_all(self._devices)


class Snapshot:
    """Parameters, buffers, gradients, optimizers, schedulers, scalers and random streams.

    ``restore`` copies into the very tensors that were there, so that whoever holds one keeps it.
    """

    def __init__(
        self,
        modules: Iterable[nn.Module],
        optimizers: Iterable[torch.optim.Optimizer],
        stateful: Iterable[Any] = (),
    ) -> None:
        self._optimizers = list(optimizers)
        tensors: dict[int, torch.Tensor] = {}
        for module in modules:
            for each in (*module.parameters(), *module.buffers()):
                tensors[id(each)] = each
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                tensors.update((id(p), p) for p in group["params"])
        self._tensors = [(each, each.detach().clone()) for each in tensors.values() if not each.is_meta]
        self._grads = [(each, each.grad, _clone(each.grad)) for each, _ in self._tensors if each.requires_grad]
        self._states = [_optimizer_state(each) for each in self._optimizers]
        self._groups = [[_settings(group) for group in each.param_groups] for each in self._optimizers]
        self._stateful = [(each, copy.deepcopy(each.state_dict())) for each in stateful]
        self.random = RandomState()

    def restore(self) -> None:
        """Put everything back."""
        with torch.no_grad():
            for tensor, value in self._tensors:
                tensor.data.copy_(value)
            for tensor, grad, value in self._grads:
                if grad is not None and value is not None:
                    grad.data = value.clone()
                tensor.grad = grad
            for optimizer, state in zip(self._optimizers, self._states, strict=True):
                _restore_state(optimizer, state)
        for each, state_dict in self._stateful:
            each.load_state_dict(copy.deepcopy(state_dict))
        for optimizer, groups in zip(self._optimizers, self._groups, strict=True):
            _restore_groups(optimizer, groups)
        self.random.restore()

    def begin_trial(self) -> None:
        """As ``restore``, but with gradients as a loop finds them at its start: none, or zeros where it keeps them."""
        kept = [(tensor, tensor.grad) for tensor, _, _ in self._grads]
        self.restore()
        for tensor, grad in kept:
            if grad is not None:
                grad.detach_().zero_()
            tensor.grad = grad


def _clone(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, torch.Tensor) else copy.deepcopy(value)


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    return {key: _clone(value) for key, value in group.items() if key != "params"}


def _optimizer_state(optimizer: torch.optim.Optimizer) -> dict[Any, dict[str, tuple[Any, Any]]]:
    return {
        parameter: {key: (value, _clone(value)) for key, value in state.items()}
        for parameter, state in optimizer.state.items()
        if isinstance(state, dict)
    }


def _restore_state(optimizer: torch.optim.Optimizer, state: dict[Any, dict[str, tuple[Any, Any]]]) -> None:
    optimizer.state.clear()
    for parameter, entries in state.items():
        restored = {}
        for key, (original, value) in entries.items():
            if isinstance(original, torch.Tensor):
                original.data.copy_(value)
                restored[key] = original
            else:
                restored[key] = copy.deepcopy(value)
        optimizer.state[parameter] = restored


def _restore_groups(optimizer: torch.optim.Optimizer, groups: list[dict[str, Any]]) -> None:
    for group, settings in zip(optimizer.param_groups, groups, strict=False):
        for key, value in settings.items():
            if isinstance(value, torch.Tensor) and isinstance(group.get(key), torch.Tensor):
                group[key].copy_(value)
            else:
                group[key] = _clone(value)
