"""Labels that disagree with what the other samples say: cross-validated predictions and confident learning.

Northcutt, Jiang and Chuang 2021, Confident Learning: Estimating Uncertainty in Dataset Labels.
"""

from __future__ import annotations

import time
import warnings
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_SAMPLES = 2000
MOST_FEATURES = 256
FEWEST_SAMPLES = 200
FEWEST_OF_A_CLASS = 8
MOST_CLASSES = 50
NEIGHBOURS = 10
SECONDS = 2.0  # of a forest, with the import of its library
SUREST = 0.25  # of the samples
FEW = 0.05  # under this share of contradicted labels no second opinion is needed

Array = NDArray[Any]


def suspects(inputs: Array, labels: Array, deadline: float) -> dict[str, Any]:
    """``share`` of labels in doubt, ``sure_share`` among the quarter of the samples that is predicted most surely,
    ``agreement`` of predictions and labels among the rest, ``beyond_chance``: how far all predictions come from always
    saying the most frequent class (0) to always being right (1), the ``indices`` of some; or ``missing``.
    ``deadline`` by ``time.perf_counter``.
    """
    if len(inputs) < FEWEST_SAMPLES:
        return {"missing": f"only {len(inputs)} samples, where {FEWEST_SAMPLES} are needed"}
    chosen = np.unique(np.linspace(0, len(inputs) - 1, MOST_SAMPLES).astype(np.int64))
    distinct, classes, counts = np.unique(labels[chosen], return_inverse=True, return_counts=True)
    if not 2 <= len(distinct) <= MOST_CLASSES:
        return {"missing": f"{len(distinct)} classes, where 2 to {MOST_CLASSES} can be judged"}
    kept = counts[classes] >= FEWEST_OF_A_CLASS
    chosen = chosen[kept]
    distinct, classes = np.unique(labels[chosen], return_inverse=True)
    if len(distinct) < 2 or len(chosen) < FEWEST_SAMPLES:
        return {"missing": "too few samples of each class"}
    table = _scaled(inputs[chosen])
    vote, support = _neighbours(table, classes, len(distinct))
    doubted = (vote != classes) & (support >= 0.7)
    facts: dict[str, Any] = {
        "samples": len(chosen),
        "features": table.shape[1],
        "share": float(doubted.mean()),
        "sure_share": 0.0,
        "beyond_chance": _beyond_chance(vote, classes),
        "agreement": float((vote == classes)[~doubted].mean()),
        "method": "neighbors",
        "indices": [int(each) for each in chosen[doubted][:20]],
    }
    if facts["share"] < FEW:
        return facts
    if deadline - time.perf_counter() < SECONDS:
        return {"missing": "the time was up before labels in doubt could be judged"}
    return _confident(table, classes, chosen, facts)


def _scaled(inputs: Array) -> Array:
    step = max(inputs.shape[1] // MOST_FEATURES, 1)
    table = np.nan_to_num(inputs[:, ::step].astype(np.float64), posinf=0.0, neginf=0.0)
    scaled: Array = (table - table.mean(axis=0)) / (table.std(axis=0) + 1e-9)
    return scaled


def _neighbours(table: Array, classes: Array, count: int) -> tuple[Array, Array]:
    """What the nearest other samples vote for, and with which share of the votes."""
    squares = (table**2).sum(axis=1)
    vote, support = np.zeros(len(table), np.int64), np.zeros(len(table))
    for start in range(0, len(table), 500):
        part = slice(start, start + 500)
        distance = squares[part, None] + squares[None] - 2 * table[part] @ table.T
        distance[np.arange(len(distance)), np.arange(start, start + len(distance))] = np.inf
        near = classes[np.argpartition(distance, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]]
        votes = (near[:, :, None] == np.arange(count)).sum(axis=1)
        vote[part], support[part] = votes.argmax(axis=1), votes.max(axis=1) / NEIGHBOURS
    return vote, support


def _beyond_chance(said: Array, classes: Array) -> float:
    most = np.bincount(classes).max() / len(classes)
    return float(((said == classes).mean() - most) / (1 - most))


def _confident(table: Array, classes: Array, chosen: Array, facts: dict[str, Any]) -> dict[str, Any]:
    try:
        find_label_issues = import_module("cleanlab.filter").find_label_issues
        forests, selection = import_module("sklearn.ensemble"), import_module("sklearn.model_selection")
    except ImportError as why:
        return {"missing": f"{why.name} is not installed (pip install 'dnndoctor[data]')"}
    forest = forests.ExtraTreesClassifier(40, min_samples_leaf=3, random_state=0, n_jobs=1)
    folds = selection.StratifiedKFold(4, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chances = selection.cross_val_predict(forest, table, classes, cv=folds, method="predict_proba")
        doubted = np.asarray(find_label_issues(classes, chances, n_jobs=1), bool)
    said = chances.argmax(axis=1)
    ordered = np.sort(chances, axis=1)
    margin = ordered[:, -1] - ordered[:, -2]
    sure = margin >= np.quantile(margin, 1 - SUREST)
    # Both opinions: what the trees alone find odd may be their own weakness.
    return facts | {
        "share": float(min(doubted.mean(), (said != classes).mean())),
        "sure_share": float((said != classes)[sure].mean()),
        "beyond_chance": _beyond_chance(said, classes),
        "agreement": float((said == classes)[~doubted].mean()),
        "method": "confident learning",
        "indices": [int(each) for each in chosen[doubted & (said != classes)][:20]],
    }
