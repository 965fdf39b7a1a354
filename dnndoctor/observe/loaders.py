"""The data-in border: every ``DataLoader`` iteration goes through here, and can be served from what was kept."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.data import BatchSampler, IterableDataset, SequentialSampler
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.findings import Location
from dnndoctor.observe import device

KEPT_BATCHES = 48
KEPT_BYTES = 32 * 2**20
KEPT_SHARE = 0.08  # of what the process takes, where that is more


@dataclass
class LoaderFacts:
    """One loader that was iterated."""

    index: int
    location: Location | None
    loader: Any
    steps: int = 0
    batches: int = 0
    seconds: float = 0.0
    kept: list[Any] = field(default_factory=list)
    kept_bytes: int = 0
    position: int = 0
    since_step: int = 0  # batches fetched since the last optimizer step
    ended: bool = False  # and since then it came to its end
    evaluated: bool = False  # and since then a pass without gradients took its batch

    def keep(self, batch: Any) -> None:
        """Keep a copy of the batch for paired trials, within bounds."""
        if len(self.kept) >= KEPT_BATCHES or self.kept_bytes > max(
            KEPT_BYTES, KEPT_SHARE * (device.peak_resident_bytes() or 0)
        ):
            return
        copy = tree_map(_copy, batch)
        self.kept_bytes += sum(t.nbytes for t in tree_leaves(copy) if isinstance(t, torch.Tensor))
        self.kept.append(copy)

    def replay(self, number: int | None = None) -> Any:
        """The next kept batch, over and over, or the one of this number; either counts as the next."""
        batch = self.kept[(self.position if number is None else number) % len(self.kept)]
        self.position += 1
        return tree_map(_copy, batch)

    def facts(self) -> dict[str, Any]:
        """Plain facts for the recording."""
        loader = self.loader
        dataset = getattr(loader, "dataset", None)
        iterable = isinstance(dataset, IterableDataset)
        sampler = order_of(loader)
        return {
            "batch_size": batch_size_of(loader),
            "sampler": type(sampler).__name__,
            "sequential": isinstance(sampler, SequentialSampler) and not iterable and _plain_batches(loader),
            "iterable": iterable,
            "workers": int(getattr(loader, "num_workers", 0)),
            "pin_memory": bool(getattr(loader, "pin_memory", False)),
            "drop_last": bool(getattr(loader, "drop_last", False) or getattr(_batches_of(loader), "drop_last", False)),
            "dataset": type(dataset).__name__,
            "length": None if iterable else _length(dataset),
            "steps": self.steps,
            "batches": self.batches,
            "seconds": self.seconds,
        }


class Loaders:
    """All loaders, and the one whose batch is in use."""

    def __init__(self) -> None:
        self.all: list[LoaderFacts] = []
        self.current: LoaderFacts | None = None
        self.built: MutableMapping[Any, Location | None] = WeakIdKeyDictionary()
        self.seconds = 0.0

    def note(self, loader: Any, location: Location | None) -> None:
        """Remember where a loader was built; one that a library re-makes from the user's is located at theirs."""
        order = order_of(loader)
        theirs = [each for each in list(self.built) if order is not None and order_of(each) is order]
        self.built.setdefault(loader, self.built[theirs[0]] if theirs else location)

    def of(self, loader: Any) -> LoaderFacts:
        """The facts of this loader, made at first sight."""
        for each in self.all:
            if each.loader is loader:
                return each
        facts = LoaderFacts(len(self.all), self.built.get(loader), loader)
        self.all.append(facts)
        return facts

    def fetch(self, facts: LoaderFacts, inner: Iterator[Any]) -> Any:
        """The loader's own next batch, timed; StopIteration as it comes."""
        start = time.perf_counter()
        try:
            batch = next(inner)
        finally:
            seconds = time.perf_counter() - start
            facts.seconds += seconds
            self.seconds += seconds
        facts.batches += 1
        facts.since_step += 1
        self.current = facts
        return batch

    def training(self) -> list[LoaderFacts]:
        """Those whose batches were trained on."""
        return [each for each in self.all if each.steps > 0]

    def step(self) -> None:
        """The lead optimizer has stepped: on these batches it trained.

        Several loaders may be drawn from side by side. One that was passed whole between two steps evaluated; a loop
        that counts its batches asks for no end, and is known by its passes.
        """
        for each in self.all:
            if each is self.current or (0 < each.since_step <= 2 and not each.ended and not each.evaluated):
                each.steps += 1
            each.since_step, each.ended, each.evaluated = 0, False, False


class ServedIterator:
    """Stands in for a loader's iterator; what it serves is decided elsewhere."""

    def __init__(
        self, facts: LoaderFacts, make: Callable[[], Iterator[Any]], serve: Callable[[ServedIterator], Any], now: bool
    ) -> None:
        self.facts = facts
        self.exhausted = False
        self.served = 0
        self.backwards_before = 0  # of the whole watch, when the first batch was asked for
        self._make = make
        self._inner: Iterator[Any] | None = make() if now else None
        self._serve = serve

    @property
    def inner(self) -> Iterator[Any]:
        """The loader's own iterator; made late where it was not wanted at once."""
        if self._inner is None:
            self._inner = self._make()
        return self._inner

    def __iter__(self) -> ServedIterator:
        return self

    def __next__(self) -> Any:
        batch = self._serve(self)
        self.served += 1
        return batch

    def __len__(self) -> int:
        return len(self.facts.loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def _copy(value: Any) -> Any:
    if type(value) is torch.Tensor:
        with torch._C.DisableTorchFunction():  # a mode of the user's shall not see it
            return value.detach().clone().requires_grad_(value.requires_grad)
    return value.detach().clone().requires_grad_(value.requires_grad) if isinstance(value, torch.Tensor) else value


def _length(dataset: Any) -> int | None:
    try:
        return len(dataset)
    except TypeError:
        return None


def _batches_of(loader: Any) -> Any:
    """What puts samples together to batches, whether given as ``batch_sampler`` or as ``sampler``."""
    own = getattr(loader, "batch_sampler", None)
    return getattr(loader, "sampler", None) if own is None else own


def order_of(loader: Any) -> Any:
    """The sampler that decides the order: with a ``batch_sampler``, the loader's own one is a default nobody uses."""
    batches = _batches_of(loader)
    return getattr(batches, "sampler", batches) if isinstance(batches, BatchSampler) else batches


def batch_size_of(loader: Any) -> int | None:
    """Samples per batch, as far as the loader or its batch sampler knows."""
    size = getattr(loader, "batch_size", None)
    size = getattr(_batches_of(loader), "batch_size", None) if size is None else size
    return size if isinstance(size, int) else None


def _plain_batches(loader: Any) -> bool:
    batches = _batches_of(loader)
    return not isinstance(batches, BatchSampler) or type(batches) is BatchSampler


def iterating(
    loaders: Loaders,
    original: Callable[[Any], Iterator[Any]],
    serve: Callable[[ServedIterator], Any],
    probing: Callable[[], bool],
) -> Callable[[Any], ServedIterator]:
    """What stands in the place of ``DataLoader.__iter__``, the ``original``: every batch comes through ``serve``."""

    @functools.wraps(original)
    def __iter__(self: Any) -> ServedIterator:  # noqa: N807 - it takes that method's place
        facts = loaders.of(self)
        late = probing() and bool(facts.kept)
        return ServedIterator(facts, lambda: original(self), serve, now=not late)

    return __iter__
