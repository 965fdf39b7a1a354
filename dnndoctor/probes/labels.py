"""Targets: which field they are, what they are spread over, and whether an input gives them away."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnndoctor.observe.watch import Watch
from dnndoctor.probes.samples import Column, Samples

MOST_CLASSES = 1000
FEWEST_FEATURES = 3  # with fewer there is nothing else to learn from
FEWEST_BITS = 8  # of two values each: fewer are logic, in which one may be the answer
FEWEST_SAMPLES = 50
EXACT = 1e-6  # of the range: what float32 leaves of an equality after scaling
MOST_FEATURES = 1024

Array = NDArray[Any]


def target_of(samples: Samples, watch: Watch) -> int | None:
    """The field that is to be learned: the named one, else the last; among several the one that the loss was given."""
    if not samples.paired:
        return None
    if samples.named_target is not None:
        return samples.named_target
    last = len(samples.columns) - 1
    seen = [fed for fed in watch.fed.values() if fed.role == "target" and fed.rows and fed.rows[0].shape[1:] == (1,)]
    for fed in seen:
        given = np.unique(np.concatenate([rows[:, 0] for rows in fed.rows])[:2000])
        for i in range(last, -1, -1):
            column = samples.columns[i]
            if column.scalar and column.values.size and np.isin(given, column.values.astype(np.float32)).all():
                return i
    return last


def classes_of(values: Array, kind: str) -> Array | None:
    """The classes, if these numbers are class labels."""
    if kind == "float" and not bool((values == np.round(values)).all()):
        return None
    distinct = np.unique(values)
    most = 2 if kind == "float" else MOST_CLASSES
    return distinct if 2 <= len(distinct) <= min(most, max(len(values) // 2, 2)) else None


def facts_of(column: Column) -> dict[str, Any]:
    """What one field of targets holds."""
    values = column.values
    facts: dict[str, Any] = {"name": column.name, "kind": column.kind, "shape": list(column.shape or ())}
    if not values.size or column.kind == "other":
        return facts
    numbers = values.astype(np.float64)
    finite = numbers[np.isfinite(numbers).all(axis=1)]
    if len(finite):
        facts |= {k: float(getattr(finite, k)()) for k in ("mean", "std", "min", "max")}
    if column.scalar:
        distinct, counts = np.unique(values[:, 0], return_counts=True)
        if len(distinct) <= MOST_CLASSES and classes_of(values[:, 0], column.kind) is not None:
            facts["classes"] = [[float(v), int(c)] for v, c in zip(distinct, counts, strict=True)]
    return facts


def of_losses(watch: Watch) -> list[dict[str, Any]]:
    """The watched targets of each loss, one number per sample, as counts of their values."""
    found = []
    for fed in watch.fed.values():
        if fed.role != "target" or not fed.rows or fed.rows[0].shape[1:] != (1,):
            continue
        values = np.concatenate([rows[:, 0] for rows in fed.rows])
        distinct, counts = np.unique(values, return_counts=True)
        if len(distinct) <= MOST_CLASSES:
            pairs = [[float(v), int(c)] for v, c in zip(distinct, counts, strict=True)]
            found.append({"name": fed.name, "kind": fed.kind, "values": pairs, "shape": list(fed.shape)})
    return found


def of_batches(watch: Watch) -> dict[str, Any] | None:
    """What the watched batches tell of the training data, where nothing else does."""
    inputs = [fed for fed in watch.fed.values() if fed.role == "input" and fed.rows]
    if not inputs:
        return None
    first = inputs[0]
    rows = [each for each in first.rows if each.shape[1:] == first.rows[0].shape[1:]]
    if watch.same_batch_again:
        rows = rows[:1]
    values = np.concatenate(rows)
    facts: dict[str, Any] = {
        "role": "training",
        "loader": None,
        "location": first.location,
        "dataset": "",
        "length": None,
        "scanned": len(values),
        "source": "batches",
        "target": None,
        "repeatable": None,
        "input": {"name": first.name, "kind": first.kind, "shape": list(first.shape[1:])},
    }
    if first.kind == "integer" and len(first.shape) == 2:
        facts["input"]["padding"] = padding(values)
    return facts


def padding(values: Array) -> dict[str, Any]:
    """Share of a value that fills up the ends, or the beginnings, of sequences [samples, tokens] and is nowhere else.

    ``empty``: samples that hold nothing else.
    """
    most: dict[str, Any] = {"share": 0.0, "value": None, "empty": 0, "lengths": 0}
    if values.shape[1] < 4:
        return most
    for side in (values, values[:, ::-1]):
        candidates, counts = np.unique(side[:, -1], return_counts=True)
        value = candidates[counts.argmax()]
        filler = side == value
        run = np.argmin(filler[:, ::-1], axis=1)
        run[filler.all(axis=1)] = values.shape[1]
        inside = int(filler.sum() - run.sum())
        empty = int((run == values.shape[1]).sum())
        # Rows of one value beside rows without it are no padding: the first word of all samples of a batch, say.
        partly = int(((run > 0) & (run < values.shape[1])).sum())
        if run.sum() > most["share"] * values.size and inside <= 0.01 * filler.sum() and partly > empty:
            lengths = len(np.unique(values.shape[1] - run))
            most = {"share": float(run.sum() / values.size), "value": float(value), "empty": empty, "lengths": lengths}
    return most


def leak_in_batches(watch: Watch) -> dict[str, Any] | None:
    """As ``leak``, of what the model and the loss were given in the same steps."""
    inputs = [fed for fed in watch.fed.values() if fed.role == "input" and len(fed.shape) == 2 and fed.kind == "float"]
    targets = [fed for fed in watch.fed.values() if fed.role == "target" and fed.rows and fed.rows[0].shape[1:] == (1,)]
    for fed in inputs:
        for target in targets:
            if [len(each) for each in fed.rows] != [len(each) for each in target.rows]:
                continue
            if any(each.shape[1:] != fed.rows[0].shape[1:] for each in fed.rows):
                continue
            found = leaking(np.concatenate(fed.rows), np.concatenate(target.rows)[:, 0])
            if found is not None:
                return {**found, "name": fed.name, "location": fed.location}
    return None


def leak(main: Column, truth: Column) -> dict[str, Any] | None:
    """A feature that is the target, or tells it without exception."""
    if main.kind != "float" or len(main.shape or ()) != 1 or len(main.values) != len(main.rows):
        return None
    if not np.isin(main.rows, truth.rows).all():
        return None
    return leaking(main.values, truth.values[np.searchsorted(truth.rows, main.rows), 0])


def leaking(inputs: Array, target: Array) -> dict[str, Any] | None:
    """``feature``: the only one of [samples, features] that is a scaled and shifted target; ``correlation``: with it,
    and ``next``: that of the next best feature.
    """
    samples, features = inputs.shape
    if samples < FEWEST_SAMPLES or not FEWEST_FEATURES <= features <= MOST_FEATURES:
        return None
    x, y = inputs.astype(np.float64), target.astype(np.float64)
    if not np.isfinite(x).all() or not np.isfinite(y).all() or y.std() == 0:
        return None
    spread = x.std(axis=0)
    varied = spread > 0
    if varied.sum() < FEWEST_FEATURES:
        return None
    y = (y - y.mean()) / y.std()
    z = (x[:, varied] - x[:, varied].mean(axis=0)) / spread[varied]
    correlation = np.abs((z * y[:, None]).mean(axis=0))
    best = int(correlation.argmax())
    second = float(np.sort(correlation)[-2])
    rest = np.abs(z[:, best] * np.sign((z[:, best] * y).mean()) - y)
    # Measured with a little noise it tells as much; far more than any feature that is no copy.
    noisy = float(correlation[best]) > 0.9995 and second < 0.98
    exact = float(rest.max()) < 1e-3 and second < 0.9999
    feature = int(np.flatnonzero(varied)[best])
    if not (exact or noisy) or _meant(x, inputs, target, feature, second):
        return None
    return {
        "feature": feature,
        "correlation": float(correlation[best]),
        "next": second,
        "exact": exact,
        "samples": samples,
    }


def _meant(x: Array, inputs: Array, target: Array, feature: int, second: float) -> bool:
    """A task of copying: the target is one value of a series, or of inputs that are noise otherwise.

    Left among the inputs by mistake the target comes last, as one column more or as a window that is one step too long.
    """
    if inputs.shape[1] < FEWEST_BITS and all(len(np.unique(inputs[:, i])) <= 2 for i in range(inputs.shape[1])):
        return True
    last = feature == inputs.shape[1] - 1
    if last and np.array_equal(inputs[:, feature], target):
        return False
    if not last and second < 4 / np.sqrt(len(target)):
        return True
    return _series(x)


def _series(x: Array) -> bool:
    """Features are the steps of a series: each is much like its neighbor, and of the same scale."""
    spread = x.std(axis=0)
    if not (spread > 0).all() or spread.max() > 1.5 * spread.min():
        return False
    z = (x - x.mean(axis=0)) / spread
    return float(np.abs((z[:, 1:] * z[:, :-1]).mean(axis=0)).min()) > 0.5
