"""Everything that a trial may change, taken at a step border and put back bit for bit."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from dnndoctor.observe.transforms import readable
from dnndoctor.observe.watch import Watch


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

    ``restore`` copies into the very tensors that were there, so that whoever holds one keeps it. ``gradients``: keep
    them too, which the start of a trial has no use for. ``buffers_only``: of the modules, for a probe that steps
    nothing. ``take``: keep the gradients and the optimizers' state themselves and no copies, and leave zeros and no
    state in their place; trials that begin from another snapshot make their own.
    """

    def __init__(
        self,
        modules: Iterable[nn.Module],
        optimizers: Iterable[torch.optim.Optimizer],
        stateful: Iterable[Any] = (),
        *,
        gradients: bool = True,
        buffers_only: bool = False,
        take: bool = False,
    ) -> None:
        self._optimizers = [] if buffers_only else list(optimizers)
        tensors: dict[int, torch.Tensor] = {}
        holders: dict[int, torch.Tensor] = {}
        for module in modules:
            tensors.update((id(each), each) for each in module.buffers())
            holders.update((id(each), each) for each in module.parameters())
        if not buffers_only:
            tensors.update(holders)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                tensors.update((id(p), p) for p in group["params"])
        self._tensors = [(each, each.detach().clone()) for each in tensors.values() if readable(each)]
        leaves = [each for each in {**holders, **tensors}.values() if readable(each) and each.requires_grad]
        self._grads = [
            (each, each.grad if gradients else None, _clone(each.grad) if gradients and not take else None)
            for each in leaves
        ]
        self._states = [_optimizer_state(each, take) for each in self._optimizers]
        if take:
            self._leave_nothing()
        self._groups = [[_settings(group) for group in each.param_groups] for each in self._optimizers]
        self._stateful = [(each, copy.deepcopy(each.state_dict())) for each in stateful]
        self.random = RandomState()

    def _leave_nothing(self) -> None:
        for optimizer in self._optimizers:
            optimizer.state.clear()
        for leaf, grad, _ in self._grads:
            leaf.grad = None if grad is None else torch.zeros_like(grad)

    def restore(self, fresh: bool = False) -> None:
        """Put everything back.

        ``fresh``: the optimizers' state into new tensors, not into those that were there.
        """
        with torch.no_grad():
            for optimizer, state in zip(self._optimizers, self._states, strict=True):
                _restore_state(optimizer, state, fresh=fresh)
            for tensor, value in self._tensors:
                tensor.data.copy_(value)
            for leaf, grad, kept in self._grads:
                if grad is not None and kept is not None:
                    _put_back(grad, kept)
                leaf.grad = grad
        for each, state_dict in self._stateful:
            each.load_state_dict(copy.deepcopy(state_dict))
        for optimizer, groups in zip(self._optimizers, self._groups, strict=True):
            _restore_groups(optimizer, groups)
        self.random.restore()

    def begin_trial(self) -> None:
        """As ``restore``, but with gradients as a loop finds them at its start: none, or zeros where it keeps them."""
        kept = [(tensor, tensor.grad) for tensor, _, _ in self._grads]
        self.restore(fresh=True)
        for tensor, grad in kept:
            if grad is not None:
                grad.detach_().zero_()
            tensor.grad = grad


def _put_back(grad: torch.Tensor, value: torch.Tensor) -> None:
    if grad.layout is torch.strided and grad.shape == value.shape:
        grad.data.copy_(value)
    else:
        grad.data = value.clone()


def _clone(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, torch.Tensor) else copy.deepcopy(value)


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    return {key: _clone(value) for key, value in group.items() if key != "params"}


State = dict[Any, dict[str, tuple[Any, Any]]]


def _optimizer_state(optimizer: torch.optim.Optimizer, take: bool) -> State:
    """By parameter and key the value that is there, and a copy; None for the copy if the value itself is taken."""
    return {
        parameter: {
            key: (value, None if take and isinstance(value, torch.Tensor) else _clone(value))
            for key, value in state.items()
        }
        for parameter, state in optimizer.state.items()
        if isinstance(state, dict)
    }


def _restore_state(optimizer: torch.optim.Optimizer, state: State, fresh: bool) -> None:
    optimizer.state.clear()
    for parameter, entries in state.items():
        optimizer.state[parameter] = {key: _entry(*pair, fresh) for key, pair in entries.items()}


def _entry(original: Any, value: Any, fresh: bool) -> Any:
    if not isinstance(original, torch.Tensor):
        return copy.deepcopy(value)
    if fresh:
        return (original if value is None else value).detach().clone()
    if value is not None:
        original.data.copy_(value)
    return original


def _restore_groups(optimizer: torch.optim.Optimizer, groups: list[dict[str, Any]]) -> None:
    for group, settings in zip(optimizer.param_groups, groups, strict=False):
        for key, value in settings.items():
            if isinstance(value, torch.Tensor) and isinstance(group.get(key), torch.Tensor):
                group[key].copy_(value)
            else:
                group[key] = _clone(value)


def of_everything(
    watch: Watch,
    optimizers: Iterable[torch.optim.Optimizer],
    *,
    start: bool = False,
    take: bool = False,
    buffers_only: bool = False,
) -> Snapshot:
    """All that the watch knows of, and these optimizers.

    ``start``: what trials begin from: optimizers that have not stepped yet count too, gradients do not.
    """
    built = watch.optimizer_built if start else ()
    every = [*(each.optimizer for each in watch.optimizers), *optimizers, *built]
    roots = {id(each): each for each in (*watch.modules.tops, *watch.root_inputs)}
    active, watch.forward.active = watch.forward.active, False  # copying is no operation of the user's
    try:
        return Snapshot(
            roots.values(),
            {id(each): each for each in every}.values(),
            [*watch.schedulers, *watch.scalers],
            gradients=not start,
            take=take,
            buffers_only=buffers_only,
        )
    finally:
        watch.forward.active = active
