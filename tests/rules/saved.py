"""Checkpoints as literals."""

from __future__ import annotations

import math
from typing import Any

from dnndoctor.measurements import SavedTensor, Snapshot, Snapshots


def matrix(
    name: str = "net.0.weight", scale: float = 1.0, shape: tuple[int, ...] = (64, 64), **known: Any
) -> SavedTensor:
    """A matrix of weights with that rms * sqrt(fan_in)."""
    rms = scale / math.sqrt(math.prod(shape[1:]))
    facts: dict[str, Any] = {"alike": 1 / shape[0], "quiet": 0.0, "rank": 0.8, "top": 0.05, **known}
    return SavedTensor(name, shape, rms * math.sqrt(math.prod(shape)), 0.0, rms, 4 * rms, 0, 0.0, **facts)


def norm(name: str = "net.1.weight") -> SavedTensor:
    """The scale of a normalisation layer."""
    return SavedTensor(name, (64,), 8.0, 1.0, 0.0, 1.0, 0, 0.0)


def row(*tensors: tuple[SavedTensor, ...]) -> Snapshots:
    """Checkpoints of steps 0, 100, 200, ..."""
    return Snapshots(tuple(Snapshot(f"{n}.pt", 100.0 * n, each) for n, each in enumerate(tensors)))
