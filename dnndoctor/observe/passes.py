"""Forward passes of whole models: from where, with which data, and which mode-dependent layers were in which mode."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from dnndoctor.findings import Location
from dnndoctor.observe.transforms import readable


def depends_on_mode(module: nn.Module) -> bool:
    """Whether train and eval mode differ for this very module."""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p > 0
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return module.track_running_stats
    if isinstance(module, nn.RNNBase):
        return module.dropout > 0 and module.num_layers > 1
    return isinstance(module, nn.MultiheadAttention) and module.dropout > 0


@dataclass
class Pass:
    """One forward pass of a model."""

    model: str
    location: Location | None
    gradients: bool
    loader: int | None
    batch: tuple[int, ...]
    trainable: bool
    training: bool
    active: set[str] = field(default_factory=set)
    inactive: set[str] = field(default_factory=set)
    inactive_trained: set[str] = field(default_factory=set)
    trained: bool = False


@dataclass
class PassGroup:
    """Passes that are alike; what the recording keeps."""

    model: str
    location: Location | None
    gradients: bool
    loader: int | None
    trained: bool
    trainable: bool
    training: bool
    active: tuple[str, ...]
    inactive: tuple[str, ...]
    inactive_trained: tuple[str, ...]
    count: int = 0
    longest_run: int = 0  # of passes over one and the same batch, with no step between them


class Passes:
    """Collects passes and groups them."""

    def __init__(self) -> None:
        self.groups: dict[tuple[object, ...], PassGroup] = {}
        self.mode_layers = False
        self._pending: list[Pass] = []
        self._last: tuple[object, ...] = ()
        self._run = 0

    def open(self, one: Pass) -> None:
        """A root module is called."""
        self._pending.append(one)
        if len(self._pending) > 64:
            self._settle(self._pending.pop(0))

    def backward(self) -> None:
        """A backward pass runs: what was computed with gradients since the last one is trained on."""
        for each in self._pending:
            each.trained = each.trained or each.gradients

    def step(self) -> None:
        """An optimizer stepped, or the script is over: file what came before."""
        for each in self._pending:
            self._settle(each)
        self._pending.clear()
        self._last = ()

    def _settle(self, one: Pass) -> None:
        key = (
            one.model,
            one.location,
            one.gradients,
            one.loader,
            one.trained,
            tuple(sorted(one.active)),
            tuple(sorted(one.inactive)),
        )
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = PassGroup(
                one.model,
                one.location,
                one.gradients,
                one.loader,
                one.trained,
                one.trainable,
                one.training,
                tuple(sorted(one.active)),
                tuple(sorted(one.inactive)),
                tuple(sorted(one.inactive_trained)),
            )
        group.count += 1
        here = (*key, one.batch)
        self._run = self._run + 1 if here == self._last else 1
        self._last = here
        group.longest_run = max(group.longest_run, self._run)


def identity(tensors: list[torch.Tensor], fetched: int) -> tuple[int, ...]:
    """Tells one batch from another, cheaply; ``fetched``: batches so far, since memory is used again."""
    first = next((each for each in tensors if readable(each) and each.layout is torch.strided), None)
    return () if first is None else (fetched, first.data_ptr(), *first.shape)
