"""Data for a model that came without any: random, but with something to learn in it, so that a loss can fall.

Floats are standard normal, ids uniform; each sample has a hidden class and a hidden number that shift its inputs and
make its targets. Nothing of it says anything about the user's own data, and no rule that judges data is told of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from dnndoctor.subject.inputs import Inputs, Leaf, random_tensor
from dnndoctor.subject.objective import Goal, Objective, key

BATCHES = 16
MOST_CLASSES = 64
LABELS = ("labels", "label", "targets", "target", "y", "ys")
Batch = dict[str, torch.Tensor]


@dataclass
class _Hidden:
    """Of the samples of one batch: ``group`` [n], below ``groups``, and ``number`` [n], standard normal."""

    group: torch.Tensor
    groups: int
    number: torch.Tensor


class Batches(Dataset[Batch]):
    """Batches made beforehand, the same at every run."""

    def __init__(self, inputs: Inputs, objective: Objective, size: int, device: torch.device) -> None:
        self._generator = torch.Generator().manual_seed(0)
        self._directions: dict[str, torch.Tensor] = {}
        classes = [g.classes for g in objective.goals if g.classes]
        classes += [leaf.high for path, leaf in inputs.leaves.items() if _is_label(path) and leaf.high > 0]
        self._groups = max(min(*classes, MOST_CLASSES) if classes else 4, 2)
        made = [self._batch(inputs, objective, size) for _ in range(BATCHES)]
        self._made = [{name: t.to(device) for name, t in batch.items()} for batch in made]

    def __len__(self) -> int:
        return len(self._made)

    def __getitem__(self, index: int) -> Batch:
        return self._made[index]

    def _batch(self, inputs: Inputs, objective: Objective, size: int) -> Batch:
        draw = self._generator
        group = torch.randint(0, self._groups, (size,), generator=draw)
        hidden = _Hidden(group, self._groups, torch.randn(size, generator=draw))
        batch = {p: self._input(p, leaf, size, hidden) for p, leaf in inputs.leaves.items() if not _is_label(p)}
        for path, leaf in inputs.leaves.items():
            if _is_label(path):
                batch[path] = self._labels(leaf, size, hidden, batch)
        for goal in objective.goals:
            target = self._target(goal, size, hidden, batch)
            batch[key(goal)] = target[: goal.rows] if goal.rows else target
        return batch

    def _input(self, path: str, leaf: Leaf, size: int, hidden: _Hidden) -> torch.Tensor:
        value = random_tensor(leaf, size, self._generator)
        if "mask" in path and leaf.kind == "float":
            return torch.ones_like(value)
        if not leaf.batched or leaf.kind not in ("float", "int"):
            return value.softmax(-1) if "adj" in path and leaf.kind == "float" else value
        flat = value.reshape(size, -1)
        if leaf.kind == "float":
            flat = 0.8 * flat + 0.5 * self._direction(path, self._groups, flat.shape[1])[hidden.group]
            flat = flat + 0.4 * hidden.number[:, None] * self._direction(f"{path} number", 1, flat.shape[1])
            if leaf.scale:
                flat = leaf.scale * flat.sigmoid()
        elif leaf.high > 1:
            share = max(leaf.high // self._groups, 1)
            own = (hidden.group[:, None] * share + flat % share) % leaf.high
            flat = torch.where(torch.rand(flat.shape, generator=self._generator) < 0.5, own, flat)
        return flat.reshape(value.shape)

    def _direction(self, name: str, count: int, width: int) -> torch.Tensor:
        """The same in all batches."""
        if name not in self._directions:
            self._directions[name] = torch.randn(count, width, generator=self._generator)
        return self._directions[name]

    def _labels(self, leaf: Leaf, size: int, hidden: _Hidden, batch: Batch) -> torch.Tensor:
        kind = "classes" if leaf.kind == "int" else "floats"
        goal = Goal((), kind, leaf.shape(size)[1:], torch.mul, "", classes=max(leaf.high, 1))
        return self._target(goal, size, hidden, batch)

    def _target(self, goal: Goal, size: int, hidden: _Hidden, batch: Batch) -> torch.Tensor:
        shape = (size, *goal.shape)
        if goal.kind == "input":
            return batch[goal.of]
        if goal.kind == "pairs":
            return torch.randint(0, 2, (size,), generator=self._generator) * 2.0 - 1.0
        if goal.kind == "classes":
            per_place = _place_labels(goal, shape, batch)
            return (
                (hidden.group % goal.classes).reshape(size, *[1] * len(goal.shape)).expand(shape).clone()
                if per_place is None
                else per_place
            )
        width = int(torch.Size(goal.shape).numel())
        value = hidden.number[:, None] * self._direction(f"target {key(goal)}", 1, width).sign()
        if goal.kind == "binary":
            return (value > 0).float().reshape(shape)
        noise = torch.randn(size, width, generator=self._generator)
        return (value + 0.3 * noise).reshape(shape)


def _is_label(path: str) -> bool:
    return path.rpartition(".")[2] in LABELS


def _place_labels(goal: Goal, shape: tuple[int, ...], batch: Batch) -> torch.Tensor | None:
    """Labels of tokens, of points in time or of pixels: from what stands in the input there."""
    if not goal.shape:
        return None
    for tensor in batch.values():
        if not tensor.is_floating_point() and tensor.shape == shape:
            return tensor % goal.classes
        if tensor.is_floating_point() and tensor.dim() == len(shape) + 1:
            if tensor.shape[2:] == shape[1:]:
                return _quantized(tensor[:, 0], goal.classes)
            if tensor.shape[:-1] == shape:
                return _quantized(tensor[..., 0], goal.classes)
    return None


def _quantized(values: torch.Tensor, classes: int) -> torch.Tensor:
    levels = min(classes, 8)
    share = torch.special.ndtr(values)
    labels: torch.Tensor = (share * levels).long().clamp(0, levels - 1)
    return labels


def loader(inputs: Inputs, objective: Objective, size: int, device: torch.device) -> DataLoader[Batch]:
    """A loader over synthetic batches of so many samples."""
    return DataLoader(Batches(inputs, objective, size, device), batch_size=None, shuffle=True)


def feed(inputs: Inputs, batch: Mapping[str, torch.Tensor]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of the model's call."""
    return inputs.call({path: batch[path] for path in inputs.leaves})
