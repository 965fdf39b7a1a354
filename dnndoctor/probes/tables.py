"""What is odd about the features and the samples of one field: constants, fillers, blanks, far outliers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_FEATURES = 1024  # of a table
CONTINUOUS = 16  # distinct values
MOST_LISTED = 20
BLANK_WIDTH = 16  # entries from which on a sample of one value only is no chance
SPARSE = 0.01  # robust deviations per standard deviation, below which an entry is mostly one value
APART = 2.0  # between the bulk and what is called an outlier lies a gap of this factor

Array = NDArray[Any]


def odd_features(values: Array) -> dict[str, Any]:
    """Features of a table [samples, features] of which one value takes more than half.

    ``gap``: from that value to the nearest other one, in standard deviations of the others. ``sparse``: for many
    features one value takes more than half, as in flattened images, counts of words and one-hot codes.
    """
    samples, features = values.shape
    constant: list[list[float]] = []
    filled: list[list[float]] = []
    repeating = 0
    for index in range(features):
        column = values[:, index]
        distinct, counts = np.unique(column, return_counts=True)
        top = int(counts.argmax())
        share = float(counts[top]) / samples
        if len(distinct) == 1:
            constant.append([index, float(distinct[0])])
        elif share > 0.5 and len(distinct) > 2:
            repeating += 1
            rest = np.delete(distinct, top)
            others = column[column != distinct[top]]
            spread = float(others.std())
            gap = float(np.abs(rest - distinct[top]).min())
            if len(rest) > CONTINUOUS and spread > 0:
                filled.append([index, float(distinct[top]), share, gap / spread])
    binary = sum(len(np.unique(values[:200, i])) == 2 for i in range(min(features, 256)))
    return {
        "features": features,
        "constant": constant[:MOST_LISTED],
        "constants": len(constant),
        "filled": filled[:MOST_LISTED],
        "sparse": repeating > max(0.1 * features, len(filled), 1) or binary > 0.5 * features,
        "binary": binary,
    }


def blank(values: Array) -> NDArray[np.bool_]:
    """Samples of which all entries are the same; none where samples are too small to tell."""
    if values.shape[1] < BLANK_WIDTH:
        return np.zeros(len(values), bool)
    return np.asarray((values == values[:, :1]).all(axis=1))


def outlying(values: Array) -> NDArray[np.bool_]:
    """Samples that lie more than 10 robust standard deviations from the rest, with a gap in between."""
    values = values.astype(np.float64)
    none = np.zeros(len(values), bool)
    finite = np.isfinite(values).all(axis=1)
    if finite.sum() < 50:
        return none
    body = values[finite]
    low, middle, high = np.percentile(body, [25, 50, 75], axis=0)
    scale, spread_out = (high - low) / 1.349, body.std(axis=0)
    # Mostly one value, as away from the peaks of a heat map: the others are no outliers.
    scale = np.where(scale > SPARSE * spread_out, scale, spread_out)
    kept = scale > 0
    if not kept.any():
        return none
    size = np.sqrt((((body[:, kept] - middle[kept]) / scale[kept]) ** 2).mean(axis=1))
    centre = float(np.median(size))
    spread = 1.4826 * float(np.median(np.abs(size - centre)))
    ordered = np.sort(size)
    # What lies apart: the first gap behind which everything is far.
    far = (ordered[1:] > centre + 10 * spread) & (ordered[1:] > APART * np.maximum(ordered[:-1], 1e-12))
    far[: len(far) // 2] = False
    if spread == 0 or not far.any():
        return none
    edge = ordered[1:][int(far.argmax())]
    found = none.copy()
    found[np.flatnonzero(finite)[size >= edge]] = True
    return found


def of_one_class(odd: NDArray[np.bool_], labels: Array | None) -> bool:
    """Whether the odd samples are what a class looks like: most of them carry one label that is mostly theirs."""
    if labels is None or not odd.any():
        return False
    distinct, counts = np.unique(labels[odd], return_counts=True)
    top = distinct[counts.argmax()]
    return bool(counts.max() > 0.8 * odd.sum() and (labels == top).sum() < 2 * counts.max())
