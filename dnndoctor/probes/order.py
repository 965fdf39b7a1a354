"""Whether the order of the training samples carries information: a bounded look into the dataset itself."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dnndoctor.observe.watch import Watch
from dnndoctor.probes.room import Room

SAMPLES = 512
SECONDS = 1.0
MOST_CLASSES = 200
DRAWN = 240  # targets kept for the report


def scan(watch: Watch, _room: Room) -> None:
    """Read targets in the order of training, and record how far neighbours are alike."""
    training = [each for each in watch.loaders.all if each.steps]
    batches: list[NDArray[np.float64]] = []
    source, shuffled, location = "batches", False, None
    if training:
        facts = max(training, key=lambda each: each.steps)
        location = facts.location
        known = facts.facts()
        # What a stream does to the order only its batches tell.
        shuffled = not known["sequential"] and not known["iterable"]
        if known["sequential"]:
            batches, source = [np.asarray([each]) for each in _from_dataset(facts.loader.dataset)], "dataset"
    if not batches and not shuffled:
        batches, source = _from_batches(watch), "batches"
    scanned = sum(map(len, batches))
    if not shuffled and scanned < 2:
        same = "every step takes the same samples: there is no order"
        missing = same if _same_again(watch) else "no targets with one value per sample were seen"
        watch.writer.put("probe", {"name": "sample-order", "facts": {"missing": missing}})
        return
    row = {"scanned": scanned, "source": source, "shuffled": shuffled, **_likeness(batches)}
    row["sequence"] = _thinned(batches)
    watch.writer.put("probe", {"name": "sample-order", "facts": {**row, "location": location}})


def _from_dataset(dataset: Any) -> list[float]:
    """The last scalar of each item, at consecutive indices in a few evenly spaced runs."""
    length, deadline = len(dataset), time.perf_counter() + SECONDS
    found: list[float] = []
    runs = 1 if length <= SAMPLES else 8
    per_run = min(length, SAMPLES) // runs
    for run in range(runs):
        start = run * (length - per_run) // max(runs - 1, 1)
        for index in range(start, start + per_run):
            if time.perf_counter() > deadline:
                return found
            try:
                value = _target(dataset[index])
            except Exception:  # noqa: BLE001 - a dataset that cannot be read so is judged by its batches
                return []
            if value is None:
                return []
            found.append(value)
    return found


def _target(item: Any) -> float | None:
    if isinstance(item, (tuple, list)) and len(item) >= 2:
        item = item[-1]
    elif isinstance(item, dict):
        item = next((item[key] for key in ("label", "labels", "target", "y") if key in item), None)
    else:
        return None
    if isinstance(item, (int, float, np.integer, np.floating)):
        return float(item)
    tensor = torch.as_tensor(item) if isinstance(item, (torch.Tensor, np.ndarray)) else None
    return float(tensor) if tensor is not None and tensor.numel() == 1 else None


def _from_batches(watch: Watch) -> list[NDArray[np.float64]]:
    """The watched targets, where there is one per sample; tokens of one text follow each other by nature.

    Empty where every step takes the same samples: then there is no order.
    """
    size = watch.typical_batch()
    for fed in watch.fed.values():
        if fed.role == "target" and fed.rows and fed.rows[0].shape[1] == 1 and fed.shape[0] == (size or fed.shape[0]):
            if _same(fed.rows):
                return []
            return [rows[:, 0].astype(np.float64) for rows in fed.rows]
    return []


def _same(rows: list[NDArray[np.float32]]) -> bool:
    return len(rows) > 1 and all(np.array_equal(each, rows[0]) for each in rows)


def _same_again(watch: Watch) -> bool:
    return any(_same(fed.rows) for fed in watch.fed.values() if fed.role == "input")


def _likeness(batches: list[NDArray[np.float64]]) -> dict[str, Any]:
    """How alike neighbours are. Within a batch the order means nothing to training, so it is mixed first."""
    mixing = np.random.default_rng(0)
    values = np.concatenate([mixing.permutation(each) for each in batches]) if batches else np.zeros(0)
    if len(values) < 2 or not np.isfinite(values).all():
        return {
            "classes": 0,
            "same_neighbour": 0.0,
            "expected_same": 0.0,
            "correlation": 0.0,
            "z": 0.0,
            "sorted": False,
        }
    distinct, counts = np.unique(values, return_counts=True)
    steps = np.diff(values)
    pairs = len(values) - 1
    spread = float(values.std())
    centred = values - values.mean()
    correlation = float((centred[1:] * centred[:-1]).mean() / spread**2) if spread > 0 else 0.0
    classes = len(distinct) if len(distinct) <= min(MOST_CLASSES, len(values) // 4) and (distinct % 1 == 0).all() else 0
    same = float((steps == 0).mean())
    share = counts / len(values)
    expected = float((share**2).sum())
    deviation = math.sqrt(max(expected * (1 - expected), 1e-9) / pairs)
    z = (same - expected) / deviation if classes else correlation * math.sqrt(pairs)
    return {
        "classes": classes,
        "same_neighbour": same,
        "expected_same": expected,
        "correlation": correlation,
        "z": float(z),
        "sorted": len(distinct) > 1 and (_rising(batches) or _rising([-each for each in batches])),
    }


def _thinned(batches: list[NDArray[np.float64]]) -> list[float]:
    """Targets in the order of training, at even distances, to be looked at."""
    values = np.concatenate(batches) if batches else np.zeros(0)
    if not np.isfinite(values).all():
        return []
    return [float(values[i]) for i in np.linspace(0, len(values) - 1, min(len(values), DRAWN)).round().astype(int)]


def _rising(batches: list[NDArray[np.float64]]) -> bool:
    """No target falls from one batch to the next."""
    return all(one.max() <= two.min() for one, two in pairwise(batches))
