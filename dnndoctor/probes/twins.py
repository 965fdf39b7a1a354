"""Samples that occur twice: within one set, with another label, and in training and evaluation both."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnndoctor.probes import tables
from dnndoctor.probes.samples import Column

RICH_WIDTH, RICH_VALUES = 32, 8
FEW_FORMS = 0.5  # of the samples

Hashes = NDArray[np.uint64]


def chance_excluded(column: Column) -> bool:
    """Whether two equal samples can be no coincidence.

    One feature has nearly as many values as there are samples, or each sample is made of many different numbers.
    Codes, short binary vectors, grids and rounded small tables repeat by nature; so do sequences of tokens.
    """
    values = column.values
    if column.kind not in ("float", "integer") or not values.size or column.shape is None:
        return False
    if column.kind == "integer" and len(column.shape) < 2:
        return False  # tokens, codes, counts
    probe = values[:: max(len(values) // 512, 1)]
    different = np.unique(column.hashes[column.rows][:: max(len(values) // 512, 1)]).size
    if different < 8:
        return False
    inside = np.median([len(np.unique(row)) for row in probe[:64]])
    if values.shape[1] >= RICH_WIDTH and inside >= RICH_VALUES:
        return True
    if column.kind == "integer":
        return False
    widest = max(len(np.unique(probe[:, i])) for i in range(min(probe.shape[1], 64)))
    return widest >= 0.5 * different and inside > 1


def few_forms(hashes: Hashes) -> bool:
    """Whether there are far fewer different samples than samples: made by a program out of a few settings."""
    counts = np.unique(hashes, return_counts=True)[1]
    return bool(len(counts) <= FEW_FORMS * len(hashes) and counts.max() - counts.min() > 1)


def blanks(columns: list[Column]) -> NDArray[np.bool_]:
    """Samples [n] that are blank in every field: equal to each other, and of no interest as copies."""
    found = np.ones(len(columns[0].hashes), bool)
    for each in columns:
        empty = each.rows[tables.blank(each.values)] if each.values.size else each.rows[:0]
        found &= np.isin(each.hashes, each.hashes[empty])
    return found


def duplicates(inputs: Hashes, labels: NDArray[Any] | None, whole: Hashes) -> dict[str, Any]:
    """``extra``: samples that another one equals, all but one of each kind. ``times``: how often each occurs if all
    occur equally often, more than once. ``contradicting``: samples whose input occurs with another label too.
    ``balancing``: the copies even out the classes. ``first``: positions of the first pairs.
    """
    if not len(whole):
        return {"extra": 0, "times": 1, "contradicting": 0, "balancing": False, "first": []}
    distinct, first, back, counts = np.unique(whole, return_index=True, return_inverse=True, return_counts=True)
    extra = len(whole) - len(distinct)
    times = int(counts.min()) if counts.min() >= 2 and counts.max() - counts.min() <= 1 else 1
    later = np.flatnonzero(first[back] != np.arange(len(whole)))[:5]
    facts = {
        "extra": extra,
        "times": times,
        "contradicting": 0,
        "balancing": False,
        "first": [[int(first[back[i]]), int(i)] for i in later],
    }
    if labels is not None:
        facts["contradicting"] = _contradicting(inputs, labels)
        facts["balancing"] = bool(extra) and _balancing(labels, labels[first])
    return facts


def _contradicting(inputs: Hashes, labels: NDArray[Any]) -> int:
    order = np.argsort(inputs, kind="stable")
    same, truth = inputs[order], labels[order]
    group = np.concatenate([[0], np.cumsum(same[1:] != same[:-1])])
    low, high = np.full(group[-1] + 1, np.inf), np.full(group[-1] + 1, -np.inf)
    np.minimum.at(low, group, truth)
    np.maximum.at(high, group, truth)
    return int(((high > low)[group]).sum())


def _balancing(labels: NDArray[Any], once: NDArray[Any]) -> bool:
    """Few samples of a class were repeated until there are as many as of the others."""
    now, before = (np.unique(each, return_counts=True)[1] for each in (labels, once))
    if len(now) < 2 or len(now) != len(before):
        return False
    return bool(before.max() > 1.5 * before.min() and now.max() / now.min() < 0.8 * before.max() / before.min())


def shared(training: Hashes, evaluation: Hashes) -> int:
    """How many of the evaluation's samples are in training, too."""
    return int(np.isin(evaluation, training).sum())
