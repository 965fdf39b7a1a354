"""Small samples of batches, by which a batch is known again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from dnndoctor.observe import sampling
from dnndoctor.observe.data import flat_tensors
from dnndoctor.observe.transforms import readable

ENTRIES = 64
TENSORS = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """Of one tensor its shape, its type, and about ``ENTRIES`` of its entries, where it lives."""

    shape: tuple[int, ...]
    dtype: str
    entries: torch.Tensor

    def host(self) -> torch.Tensor:
        """The entries on the host."""
        return self.entries.cpu()


def samples(batch: Any) -> tuple[Sample, ...]:
    """Of each of its first tensors a sample; nothing is waited for."""
    there = [each.detach() for each in flat_tensors(batch)[:TENSORS] if readable(each) and not each.is_sparse]
    return tuple(
        Sample(tuple(each.shape), str(each.dtype).removeprefix("torch."), sampling.flat_sample(each, ENTRIES).clone())
        for each in there
    )


def alike(one: Iterable[Sample], other: Iterable[Sample]) -> bool:
    """Whether a tensor of the one is a tensor of the other, on whatever device."""
    others = list(other)
    return any(
        mine.shape == theirs.shape and mine.dtype == theirs.dtype and _equal(mine.host(), theirs.host())
        for mine in one
        for theirs in others
    )


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and bool(torch.equal(_bits(one), _bits(other)))


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    """Its bytes: NaN equals itself."""
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def digest_of(taken: Iterable[Sample]) -> str:
    """A hash of the samples, the same on every device."""
    made = hashlib.blake2b(digest_size=16)
    for each in taken:
        made.update(f"{each.shape}{each.dtype}".encode())
        made.update(_bits(each.host()).numpy().tobytes())
    return made.hexdigest()


def digest(batch: Any) -> str:
    """A hash by which a batch (tensors in tuples, lists, dicts) is known again: of shapes, types and some entries."""
    return digest_of(samples(batch))
