"""The order of samples in each epoch, the labels in each batch, and what a whole epoch comes to."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from torch.utils.data import BatchSampler, RandomSampler, Sampler, SubsetRandomSampler
from torch.utils.data.distributed import DistributedSampler

from dnndoctor.observe.loaders import LoaderFacts, batch_size_of, order_of
from dnndoctor.observe.source import caller
from dnndoctor.observe.window import Border, Window

FIRST = 64  # indices of an epoch that are compared
FEWEST = 16  # two random orders of so many are the same once in 2e13 times
MOST_BATCHES = 64
MOST_CLASSES = 1000
SHUFFLING = (RandomSampler, SubsetRandomSampler, DistributedSampler)


class Epochs(Window):
    """Notes how every sampler that shuffles began, and which labels came together."""

    name: ClassVar[str] = "epochs"

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self._orders: dict[Any, tuple[int, int, list[int]]] = {}
        self._repeated: list[dict[str, Any]] = []
        self._epochs = 0
        self._built = 0
        self._batches: dict[int, list[tuple[int, float]]] = {}
        self._pooled: dict[int, dict[int, int]] = {}

    def install(self, border: Border) -> None:
        """Listen to the samplers; what they yield is passed on as it comes."""
        note = border.shielded(self._note_order)
        for kind in SHUFFLING:
            border.patch(kind, "__iter__", _listened(kind.__iter__, note, lambda: self.watch.observing))

    def optimizer_built(self, optimizer: torch.optim.Optimizer, location: Any) -> None:  # noqa: ARG002
        """Another training begins: from the same seed it takes the same order, as it should."""
        self._built += 1

    def _note_order(self, sampler: Sampler[Any], order: list[int]) -> None:
        if len(order) < FEWEST:
            return
        facts = next((each for each in self.watch.loaders.all if order_of(each.loader) is sampler), None)
        place = facts.location if facts is not None else caller()
        key = (type(sampler).__name__, place, _length(sampler))
        before = self._orders.get(key)
        self._orders[key] = (self._built, self.watch.step, order)
        self._epochs += before is not None
        if before is not None and before[0] == self._built and before[1] < self.watch.step and before[2] == order:
            self._repeated.append({"location": place, "sampler": type(sampler).__name__, "compared": len(order)})

    def batch(self, loader: LoaderFacts, batch: Any) -> None:
        """Count the labels of a batch."""
        found = self._batches.setdefault(loader.index, [])
        label = _label(batch) if len(found) < MOST_BATCHES else None
        if label is None or not label.numel() or label.device.type != "cpu":
            return
        values, counts = np.unique(label.detach().numpy(), return_counts=True)
        share = counts / counts.sum()
        found.append((int(counts.sum()), float(-(share * np.log(share)).sum())))
        pooled = self._pooled.setdefault(loader.index, {})
        if len(pooled) <= MOST_CLASSES:
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                pooled[value] = pooled.get(value, 0) + count

    def facts(self) -> dict[str, Any] | None:
        """Lengths of epochs, orders that came again, and of watched batches size and entropy of the labels in nats."""
        loaders = [
            {
                "loader": each.index,
                "epoch": _length(order_of(each.loader)),
                "batch_size": batch_size_of(each.loader),
                "own_batches": type(getattr(each.loader, "batch_sampler", None)) not in (BatchSampler, type(None)),
                "batches": self._batches.get(each.index, []),
                "labels": sorted(self._pooled.get(each.index, {}).items()),
            }
            for each in self.watch.loaders.all
        ]
        if not loaders and not self._epochs:
            return None
        return {"loaders": loaders, "second_epochs": self._epochs, "repeated": self._repeated[:8]}


def _listened(
    original: Callable[[Any], Iterator[Any]], note: Callable[..., Any], listening: Callable[[], bool]
) -> Callable[[Any], Iterator[Any]]:
    @functools.wraps(original)
    def __iter__(self: Any) -> Iterator[Any]:  # noqa: N807 - it takes that method's place
        if not listening():
            yield from original(self)
            return
        order: list[int] | None = []
        for each in original(self):
            if order is not None:
                order.append(each)
                if len(order) >= FIRST:
                    note(self, order)
                    order = None
            yield each
        if order:
            note(self, order)

    return __iter__


def _label(batch: Any) -> torch.Tensor | None:
    """The whole numbers, one per sample, that come last in a batch or under a name for them."""
    if isinstance(batch, (tuple, list)) and len(batch) >= 2:
        found = batch[-1]
    elif isinstance(batch, dict):
        found = next((batch[key] for key in ("labels", "label", "targets", "target", "y") if key in batch), None)
    else:
        return None
    if not isinstance(found, torch.Tensor) or found.is_complex() or (found.is_floating_point() and not _whole(found)):
        return None
    return found.reshape(-1) if found.dim() == 1 or (found.dim() == 2 and found.shape[1] == 1) else None


def _whole(values: torch.Tensor) -> bool:
    return values.device.type == "cpu" and bool((values == values.round()).all())


def _length(sampler: Any) -> int | None:
    try:
        return len(sampler)
    except (TypeError, NotImplementedError):
        return None
