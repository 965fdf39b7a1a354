"""Which samples of an evaluation were trained on, too: by their place in one dataset, or by what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnndoctor.probes import twins
from dnndoctor.probes.samples import root_of, tensors_of

if TYPE_CHECKING:
    from dnndoctor.probes.data_scan import Found


def between(sets: list[Found]) -> list[dict[str, Any]]:
    """For each evaluation set the overlap with the training that it belongs to."""
    rows = []
    for each in sets:
        if each.role == "evaluation":
            training = _partner(each, [one for one in sets if one.role == "training"])
            if training is not None:
                rows.append(_overlap(training, each))
    return rows


def _partner(evaluation: Found, training: list[Found]) -> Found | None:
    """In a cross-validation each fold has its own; what another fold held out is no leak."""
    if evaluation.loader is None or len(training) < 2:
        return training[0] if training else None
    mine = evaluation.loader.index
    before = [each for each in training if each.loader is not None and each.loader.index < mine]
    return before[-1] if before else training[0]


def _overlap(training: Found, evaluation: Found) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "training": training.loader.index if training.loader else None,
        "evaluation": evaluation.loader.index if evaluation.loader else None,
        "location": evaluation.location,
        "training_location": training.location,
        "same_dataset": training.dataset is evaluation.dataset,
        "looked_at": len(evaluation.samples.positions),
        "of": evaluation.samples.length,
        "training_scanned": len(training.samples.positions),
        "training_length": training.samples.length,
    }
    certain = _same_places(training, evaluation)
    if certain is not None and certain > 0:
        whole = certain == len(evaluation.indices)
        return facts | {
            "shared": certain,
            "looked_at": len(evaluation.indices),
            "by": "place",
            "whole": whole and len(training.indices) == len(evaluation.indices),
            "natural": False,
        }
    pairs = _comparable(training, evaluation)
    shared = twins.shared(pairs[0], pairs[1]) if pairs is not None else 0
    columns = training.samples.columns
    natural = twins.few_forms(columns[0].hashes) or not twins.chance_excluded(columns[0])
    whole = shared == len(evaluation.samples.positions) and training.samples.length == evaluation.samples.length
    return facts | {"shared": shared, "by": "content", "whole": whole, "natural": natural}


def _comparable(training: Found, evaluation: Found) -> tuple[NDArray[np.uint64], NDArray[np.uint64]] | None:
    one, other = training.samples.columns, evaluation.samples.columns
    if one[0].kind != other[0].kind or (one[0].shape or ()) != (other[0].shape or ()):
        return None
    return one[0].hashes, other[0].hashes[~twins.blanks(other[:1])]


def _same_places(training: Found, evaluation: Found) -> int | None:
    """Samples of the evaluation at places of one dataset, or of one memory, that training reads, too."""
    root, mine = root_of(training.dataset, training.indices)
    other, theirs = root_of(evaluation.dataset, evaluation.indices)
    if root is other:
        return int(np.isin(theirs, mine).sum())
    one, rows = tensors_of(training.dataset, training.indices)
    two, others = tensors_of(evaluation.dataset, evaluation.indices)
    if not one or not two or not one[0].dim() or not two[0].dim():
        return None
    first, second = one[0], two[0]
    if first.untyped_storage().data_ptr() != second.untyped_storage().data_ptr():
        return None
    if first.stride() != second.stride() or first.dtype != second.dtype or not first.stride(0):
        return None
    step = int(first.stride(0))
    mine, theirs = int(first.storage_offset()) + rows * step, int(second.storage_offset()) + others * step
    return int(np.isin(theirs, mine).sum())
