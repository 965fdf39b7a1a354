"""Objects of a running program, taken as they are and put back bit for bit: a check must leave no trace in them."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from dnndoctor.probes.snapshot import RandomState, Snapshot

_CONTAINERS = (dict, list, set)


class Untouched:
    """A context: whatever happens inside, these objects and the random streams are afterwards as they were.

    Restored are parameters, buffers and other tensors that modules hold, gradients, modes, hooks and all plain
    attributes of modules, optimizer, scheduler, loaders and their samplers, and the states of their generators.
    """

    def __init__(self, modules: Iterable[nn.Module], optimizer: Any, scheduler: Any, loaders: Iterable[Any]) -> None:
        self._modules = {id(m): m for root in modules for m in root.modules()}
        self._optimizers = [optimizer] if isinstance(optimizer, torch.optim.Optimizer) else []
        stateful = [each for each in (scheduler,) if each is not None and hasattr(each, "__dict__")]
        parts = [part for loader in loaders for part in _parts(loader)]
        self._holders = [*self._modules.values(), *self._optimizers, *stateful, *parts]
        self._parts = parts

    def __enter__(self) -> Untouched:
        self._random = RandomState()
        self._generators = [(each, each.get_state()) for each in _generators(self._parts)]
        self._attributes = [_Attributes(each) for each in self._holders]
        self._groups = [(group, dict(group)) for each in self._optimizers for group in each.param_groups]
        self._values = Snapshot(self._modules.values(), self._optimizers)
        self._tensors = _tensors(self._modules.values(), self._optimizers)
        self._trainable = [(t, t.requires_grad) for t in self._tensors if t.is_leaf]
        self._loose = [(t, t.detach().clone()) for t in _loose(self._modules.values())]
        counted = tuple(t for t in self._tensors if not t.is_inference())
        self._versions = torch.autograd.grad_mode._unsafe_preserve_version_counter(counted)
        self._versions.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._attributes:
            each.restore()
        for tensor, trainable in self._trainable:
            if tensor.requires_grad != trainable:
                tensor.requires_grad_(trainable)
        self._values.restore()
        for tensor, value in self._loose:
            tensor.data.copy_(value)
        for group, entries in self._groups:
            for key in [each for each in group if each not in entries]:
                del group[key]
        self._versions.__exit__(kind, error, trace)
        for generator, state in self._generators:
            generator.set_state(state)
        self._random.restore()


class _Attributes:
    """The plain attributes of one object, and what is in its containers."""

    def __init__(self, holder: Any) -> None:
        self._holder = holder
        self._class = type(holder)
        self._values = dict(holder.__dict__)
        self._inside = {
            name: value.copy()
            for name, value in self._values.items()
            if isinstance(value, _CONTAINERS) and not (isinstance(holder, torch.optim.Optimizer) and name in _OWN)
        }

    def restore(self) -> None:
        """Put them back into the very containers that were there."""
        if type(self._holder) is not self._class:
            self._holder.__class__ = self._class
        self._holder.__dict__.clear()
        self._holder.__dict__.update(self._values)
        for name, content in self._inside.items():
            value: Any = self._values[name]
            if isinstance(value, list):
                value[:] = content
            else:
                value.clear()
                value.update(content)


_OWN = ("state", "param_groups")  # a snapshot of the optimizer looks after them


def _parts(loader: Any) -> list[Any]:
    """A loader, and what it draws with; of its data set only the object itself."""
    found = [loader]
    if isinstance(loader, DataLoader):
        found += [loader.sampler, loader.batch_sampler, getattr(loader.batch_sampler, "sampler", None), loader.dataset]
    unique = {id(each): each for each in found if hasattr(each, "__dict__") and not isinstance(each, type)}
    return [each for each in unique.values() if not callable(each) or isinstance(each, DataLoader)]


def _generators(parts: Iterable[Any]) -> list[torch.Generator]:
    values = {id(v): v for each in parts for v in vars(each).values() if isinstance(v, torch.Generator)}
    return list(values.values())


def _loose(modules: Iterable[nn.Module]) -> list[torch.Tensor]:
    """Tensors that modules hold as plain attributes."""
    held = {id(v): v for m in modules for v in m.__dict__.values() if isinstance(v, torch.Tensor) and not v.is_meta}
    return list(held.values())


def _tensors(modules: Iterable[nn.Module], optimizers: Iterable[torch.optim.Optimizer]) -> list[torch.Tensor]:
    modules = list(modules)
    found = {id(t): t for m in modules for t in (*m._parameters.values(), *m._buffers.values()) if t is not None}
    found |= {id(t): t for t in _loose(modules)}
    for optimizer in optimizers:
        found |= {id(p): p for group in optimizer.param_groups for p in group["params"]}
        for state in optimizer.state.values():
            found |= {id(t): t for t in state.values() if isinstance(t, torch.Tensor)}
    return list(found.values())
