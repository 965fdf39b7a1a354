"""Samples of what a loss is fed, and the figures that are made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dnndoctor.observe import sampling

Pair = tuple[int, NDArray[np.float32], NDArray[np.float32]]  # step, prediction, target

LABELS = 512  # class targets per sample
CLASSES = 65536  # entries of scores whose normaliser is computed
QUANTILES = (0.0, 0.01, 0.05, 0.5, 0.95, 0.99, 1.0)
MOST_DISTINCT = 24
SURE = 1e-3
WORST_SHARE = 0.02
ROBUST_SIGMAS = 6.0
NORMAL_MAD = 1.4826  # standard deviations of a normal distribution per median absolute deviation


def classes(prediction: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Over the classes the logarithm of the summed exponentials, the sum and the least, and the class targets.

    None if the targets are soft.
    """
    if target.is_floating_point():
        return None
    axis = 1 if prediction.dim() > 1 else 0
    rows = max(CLASSES // max(prediction[:1].numel(), 1), 1)
    scores = (prediction.detach()[:rows] if prediction.dim() > 1 else prediction.detach()).float()
    figures = [torch.logsumexp(scores, axis), scores.sum(axis), scores.amin(axis)]
    normaliser = torch.stack([each.reshape(-1)[:LABELS] for each in figures])
    return normaliser, sampling.flat_sample(target, LABELS).float().clone()


def entries(
    prediction: torch.Tensor, target: torch.Tensor, rows: int, columns: int
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Paired rows [rows, columns] of two tensors of one shape; None where shapes differ."""
    if prediction.shape != target.shape or prediction.is_complex() or target.layout is not torch.strided:
        return None
    return _rows(prediction, rows, columns), _rows(target, rows, columns)


def _rows(tensor: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    tensor = tensor.detach()
    flat = tensor.reshape(tensor.shape[0], -1) if tensor.dim() > 1 else tensor.reshape(-1, 1)
    return flat[:rows, :: sampling.stride_for(flat.shape[1], columns, *tensor.shape[1:])].float().clone()


def of_classes(pairs: list[Pair], ignored: int | None) -> dict[str, Any]:
    """Figures of a loss over class indices."""
    if not pairs:
        return {}
    normaliser, total, lowest = np.concatenate([p for _, p, _ in pairs], axis=1)
    probabilities = bool((np.abs(total - 1) < SURE).all() and (lowest >= 0).all())
    labels = np.concatenate([t for _, _, t in pairs])
    normaliser = normaliser[np.isfinite(normaliser)]
    found = np.unique(labels)
    return {
        "rows": int(labels.size),
        "probabilities": probabilities,
        "log_normaliser": float(np.median(normaliser)) if normaliser.size else None,
        "lowest_log_normaliser": float(np.quantile(normaliser, 0.05)) if normaliser.size else None,
        "ignored_share": float((labels == ignored).mean()) if ignored is not None and labels.size else 0.0,
        "distinct": found[:MOST_DISTINCT].tolist(),
    }


def of_entries(pairs: list[Pair], one_hot_width: int) -> dict[str, Any]:
    """Figures of a loss that compares entry by entry."""
    same = [pair for pair in pairs if pair[1].ndim == 2 and pair[1].shape[1] == pairs[0][1].shape[1]]
    if not same:
        return {}
    prediction, target = (np.concatenate([pair[at] for pair in same]).astype(np.float64) for at in (1, 2))
    good = np.isfinite(prediction).all(1) & np.isfinite(target).all(1)
    prediction, target = prediction[good], target[good]
    if not target.size:
        return {}
    distinct = np.unique(target)
    return {
        "rows": len(target),
        "prediction": np.quantile(prediction, QUANTILES).tolist(),
        "target": np.quantile(target, QUANTILES).tolist(),
        "target_mean": float(target.mean()),
        "target_std": float(target.std()),
        "whole": bool((target == np.round(target)).all()),
        "distinct": distinct[:MOST_DISTINCT].tolist(),
        "one_hot": one_hot_width > 1 and bool(((target == 0) | (target == 1)).all() and (target.sum(1) == 1).all()),
        "certain_share": float(((prediction == 0) | (prediction == 1)).mean()),
        "certain_wrong_share": float((np.abs(prediction - target) == 1).mean())
        if ((target == 0) | (target == 1)).all()
        else 0.0,
        **_outliers(same),
    }


def _outliers(pairs: list[Pair]) -> dict[str, Any]:
    """How much of the squared error the worst samples make, in the later half of the steps, and whether it is their
    targets that lie far out."""
    late = pairs[len(pairs) // 2 :]
    prediction, target = (np.concatenate([pair[at] for pair in late]).astype(np.float64) for at in (1, 2))
    error = ((prediction - target) ** 2).mean(axis=1)
    keep = np.isfinite(error)
    error, target = error[keep], target[keep]
    if not error.size:
        return {}
    worst = np.argsort(error)[-max(round(WORST_SHARE * error.size), 1) :]
    center = np.median(target, axis=0)
    spread = NORMAL_MAD * np.median(np.abs(target - center), axis=0)
    far = np.abs(target - center) > ROBUST_SIGMAS * spread
    far &= spread > 0  # mostly one value, as in a heat map: the others are no outliers
    return {
        "judged_rows": int(error.size),
        "late_error": float(error.mean()),
        "worst_share_of_error": float(error[worst].sum() / error.sum()) if error.sum() > 0 else 0.0,
        "outliers_share_of_error": float(error[worst][far[worst].any(axis=1)].sum() / error.sum())
        if error.sum() > 0
        else 0.0,
        "outlying": float(far.any(axis=1).mean()),
    }
