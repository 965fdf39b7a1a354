"""Samples out of a dataset, whatever kind it is: whole tensors where it is made of them, else item by item.

Nothing is fetched through a loader: no worker starts, no sampler moves, no collation is needed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Subset, TensorDataset

from dnndoctor.observe.sampling import stride_for

MOST_ENTRIES = 4_000_000  # of one column that statistics are made of
MOST_FEATURES = 4096
MOST_READ = 50_000
MOST_BYTES = 128 * 2**20  # of items that are held at once
TRIED = 16  # items that tell how long one takes
TARGET_KEYS = ("labels", "label", "targets", "target", "y", "class")

Array = NDArray[Any]


@dataclass
class Column:
    """One field of the samples.

    ``shape``: of one sample; None where they differ in it. ``kind``: "float", "integer", "bool" or "other".
    ``hashes`` [n]: of the whole field. ``values`` [rows, features]: of some samples, at ``rows``, with evenly
    spaced features of large ones; empty where there is nothing to calculate with.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    hashes: NDArray[np.uint64]
    values: Array
    rows: NDArray[np.int64]

    @property
    def scalar(self) -> bool:
        """One number per sample."""
        return self.shape in ((), (1,)) and self.kind != "other"

    @property
    def width(self) -> int:
        """Entries of one sample."""
        return 0 if self.shape is None else int(np.prod(self.shape))


@dataclass
class Samples:
    """``positions`` [n]: the indices that were read, of ``length`` samples; ``source``: "tensors" or "items"."""

    columns: list[Column]
    positions: NDArray[np.int64]
    length: int
    source: str
    paired: bool = True  # a sample has several fields, of which the last or the named one is what is to be learned
    named_target: int | None = None
    fields: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Every sample was read."""
        return len(self.positions) == self.length


def of_dataset(dataset: Any, indices: NDArray[np.int64], seconds: float) -> Samples | str:
    """The samples at these indices, as many as there is time for, evenly spaced; or why there are none."""
    tensors, mine = tensors_of(dataset, indices)
    if tensors is not None:
        return of_tensors(tensors, mine, seconds)
    if not len(indices):
        return "the dataset is empty"
    deadline = time.perf_counter() + seconds
    first = indices[np.unique(np.linspace(0, len(indices) - 1, min(TRIED, len(indices))).astype(np.int64))]
    began = time.perf_counter()
    try:
        size = sum(_bytes(value) for index in first for _, value in _fields(dataset[int(index)])) / len(first)
        each = (time.perf_counter() - began) / len(first)
        affordable = max(int(0.8 * (deadline - time.perf_counter()) / max(each, 1e-7)), 1)
        count = max(min(len(indices), affordable, MOST_READ, int(MOST_BYTES / max(size, 1))), 1)
        chosen = indices[np.unique(np.linspace(0, len(indices) - 1, count).astype(np.int64))]
        items = []
        for index in chosen:
            items.append(list(_fields(dataset[int(index)])))
            if time.perf_counter() > deadline:
                break
    except Exception as why:  # noqa: BLE001 - the dataset's own refusal
        return f"the dataset gave no sample outside of its loader ({type(why).__name__})"
    return _of_items(items, chosen[: len(items)], len(indices), dataset, int(first[0]))


def tensors_of(dataset: Any, indices: NDArray[np.int64]) -> tuple[list[torch.Tensor] | None, NDArray[np.int64]]:
    """The tensors that a dataset is made of, with the rows of them that the indices stand for."""
    kind = type(dataset)
    if isinstance(dataset, Subset) and kind.__getitem__ is Subset.__getitem__:
        return tensors_of(dataset.dataset, np.asarray(dataset.indices, np.int64)[indices])
    if isinstance(dataset, TensorDataset) and kind.__getitem__ is TensorDataset.__getitem__:
        return list(dataset.tensors), indices
    if kind is torch.Tensor and dataset.dim():
        return [dataset], indices
    if kind is np.ndarray and dataset.ndim and dataset.dtype.kind in "biuf":
        return [torch.from_numpy(np.ascontiguousarray(dataset))], indices
    return None, indices


def root_of(dataset: Any, indices: NDArray[np.int64]) -> tuple[Any, NDArray[np.int64]]:
    """The dataset behind subsets, and the indices in it."""
    while isinstance(dataset, Subset):
        dataset, indices = dataset.dataset, np.asarray(dataset.indices, np.int64)[indices]
    return dataset, indices


def of_tensors(tensors: list[torch.Tensor], rows: NDArray[np.int64], seconds: float) -> Samples | str:
    """The rows of tensors that lie beside each other."""
    length = len(rows)
    if length > MOST_READ:
        rows = rows[np.unique(np.linspace(0, length - 1, MOST_READ).astype(np.int64))]
    # About 3e8 entries are hashed in a second; half of the time is for that.
    width = sum(max(each[0].numel(), 1) for each in tensors) if length else 1
    affordable = max(int(seconds * 1.5e8 / width), 1)
    if len(rows) > affordable:
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, affordable).astype(np.int64))]
    if not len(rows):
        return "the dataset is empty"
    columns = [_column(str(i), _rows_of(each, rows)) for i, each in enumerate(tensors)]
    return Samples(columns, rows, length, "tensors", paired=len(columns) > 1)


def _rows_of(tensor: torch.Tensor, rows: NDArray[np.int64]) -> Array:
    tensor = tensor.detach()
    taken = tensor if len(rows) == len(tensor) and _consecutive(rows) else tensor[torch.from_numpy(rows)]
    if taken.dtype is torch.bfloat16:
        taken = taken.float()
    return np.asarray(taken.cpu().numpy())


def _consecutive(rows: NDArray[np.int64]) -> bool:
    return bool((rows == np.arange(len(rows))).all())


def _of_items(
    items: list[list[Any]], positions: NDArray[np.int64], length: int, dataset: Dataset[Any], at: int
) -> Samples | str:
    count = min(map(len, items), default=0)
    if not count:
        return "its samples hold no numbers"
    columns = []
    names = [name for name, _ in items[0][:count]]
    for i in range(count):
        values = [each[i][1] for each in items]
        columns.append(_column(names[i], _stacked(values)))
    whole = dataset[at]
    named = next((i for key in TARGET_KEYS for i, name in enumerate(names) if name == key), None)
    paired = isinstance(whole, (tuple, list)) or named is not None
    return Samples(columns, positions, length, "items", paired=paired and count > 1, named_target=named, fields=names)


def _fields(item: Any, name: str = "", depth: int = 3) -> Iterator[tuple[str, Any]]:
    """The leaves of an item, as arrays where they are numbers."""
    kind = type(item)
    if kind is torch.Tensor:
        yield name, (item.float() if item.dtype is torch.bfloat16 else item).detach().cpu().numpy()
    elif kind in (bool, int, float, np.ndarray):
        yield name, np.asarray(item)
    elif isinstance(item, torch.Tensor):
        yield from _fields(item.as_subclass(torch.Tensor), name, depth)
    elif isinstance(item, (tuple, list)) and depth and not _numbers(item):
        for position, each in enumerate(item):
            yield from _fields(each, f"{name}.{position}" if name else str(position), depth - 1)
    elif isinstance(item, Mapping) and depth:
        for key in item:
            yield from _fields(item[key], f"{name}.{key}" if name else str(key), depth - 1)
    elif isinstance(item, np.generic) or _numbers(item) or hasattr(item, "__array__"):
        yield name, np.asarray(item)
    else:
        yield name, str(item)[:10_000]


def _bytes(value: Any) -> int:
    return value.nbytes if isinstance(value, np.ndarray) else len(value)


def _numbers(item: Any) -> bool:
    """A list that is one field: token indices, say."""
    return isinstance(item, list) and len(item) > 3 and all(isinstance(each, (int, float)) for each in item[:4])


def _stacked(values: list[Any]) -> Array | list[Any]:
    shapes = {each.shape if isinstance(each, np.ndarray) else None for each in values}
    if len(shapes) == 1 and None not in shapes:
        return np.stack(values)
    return values


def _column(name: str, values: Array | list[Any]) -> Column:
    none = np.zeros((0, 0)), np.zeros(0, np.int64)
    if isinstance(values, list) or values.dtype.kind not in "biuf":
        hashes = np.asarray([_hash_of(each) for each in values], np.uint64)
        return Column(name, "other", None, hashes, *none)
    kind = {"b": "bool", "f": "float"}.get(values.dtype.kind, "integer")
    flat = values.reshape(len(values), -1)
    hashes = row_hashes(flat)
    if flat.shape[1] > MOST_FEATURES:
        flat = flat[:, :: stride_for(flat.shape[1], MOST_FEATURES, *values.shape[1:])]
    most = max(MOST_ENTRIES // max(flat.shape[1], 1), 500)
    rows = np.arange(len(flat))
    if len(flat) > most:
        rows = np.unique(np.linspace(0, len(flat) - 1, most).astype(np.int64))
    return Column(name, kind, values.shape[1:], hashes, flat[rows], rows)


def _hash_of(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return int(row_hashes(value.reshape(1, -1))[0]) if value.size else 0
    return hash(value) & 0xFFFFFFFFFFFFFFFF


def row_hashes(flat: Array) -> NDArray[np.uint64]:
    """One number per row [rows, entries]; equal rows have equal numbers, and hardly any others."""
    width = flat.shape[1]
    weights = np.random.default_rng(7).integers(1, 2**63, width + 1, dtype=np.uint64) | np.uint64(1)
    found = np.full(len(flat), weights[-1], np.uint64)
    chunk = max(1_000_000 // max(width, 1), 1)
    for start in range(0, len(flat), chunk):
        part = np.ascontiguousarray(flat[start : start + chunk])
        if part.dtype.kind == "f":
            part = part + part.dtype.type(0)  # minus zero is zero
        bits = part.view(f"u{part.dtype.itemsize}").astype(np.uint64)
        bits ^= bits << np.uint64(23)
        found[start : start + chunk] += (bits + np.uint64(1)) @ weights[:-1]
    found ^= found >> np.uint64(29)
    return found * np.uint64(0x9E3779B97F4A7C15)
