"""What the model and the loss are fed: running statistics over the watched batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dnndoctor.findings import Location
from dnndoctor.observe import sampling

FEATURES = 4096
ROWS = 4096


@dataclass
class Fed:
    """One input or target; ``rows`` are samples kept for the statistics."""

    role: str
    name: str
    location: Location | None
    kind: str
    shape: tuple[int, ...]
    rows: list[NDArray[np.float32]] = field(default_factory=list)
    kept: int = 0
    samples: int = 0
    entries: int = 0
    non_finite: int = 0
    bad_samples: tuple[int, ...] = ()
    bad_step: int | None = None

    def take(self, tensor: torch.Tensor, step: int, sample: bool) -> None:
        """Count what is not finite and, if ``sample``, keep some rows."""
        tensor = tensor.detach()
        self.entries += tensor.numel()
        self.samples += tensor.shape[0] if tensor.dim() else 1
        if tensor.is_floating_point():
            self._count_bad(tensor, step)
        if sample and self.kept < ROWS:
            flat = tensor.reshape(tensor.shape[0], -1) if tensor.dim() > 1 else tensor.reshape(-1, 1)
            if tensor.dim() > 2:
                flat = flat[:, :: sampling.stride_for(flat.shape[1], 64, *tensor.shape[1:])]
            rows = flat[:512, :FEATURES].float().cpu().numpy().copy()
            self.rows.append(rows)
            self.kept += len(rows)

    def _count_bad(self, tensor: torch.Tensor, step: int) -> None:
        if not tensor.numel() or bool(torch.isfinite(sampling.largest(tensor))):
            return
        bad = ~torch.isfinite(tensor)
        self.non_finite += int(bad.sum())
        if self.bad_step is None:
            self.bad_step = step
            rows = bad.reshape(bad.shape[0], -1).any(1) if bad.dim() > 1 else bad
            self.bad_samples = tuple(rows.nonzero().flatten()[:8].tolist())

    def facts(self) -> dict[str, Any]:
        """Plain statistics of the rows kept."""
        rows = [each for each in self.rows if each.shape[1:] == self.rows[0].shape[1:]]
        pooled = np.concatenate(rows).astype(np.float64) if rows else np.zeros((0, 1))
        pooled = pooled[np.isfinite(pooled).all(axis=1)]
        tabular = len(self.shape) == 2 and pooled.shape[1] > 0 and len(pooled) > 0
        return {
            "role": self.role,
            "name": self.name,
            "kind": self.kind,
            "shape": list(self.shape),
            "samples": self.samples,
            "mean": float(pooled.mean()) if pooled.size else 0.0,
            "std": float(pooled.std()) if pooled.size else 0.0,
            "low": float(pooled.min()) if pooled.size else 0.0,
            "high": float(pooled.max()) if pooled.size else 0.0,
            "feature_mean": pooled.mean(0).tolist() if tabular else [],
            "feature_std": pooled.std(0).tolist() if tabular else [],
            "feature_distinct": [min(len(np.unique(c)), 17) for c in pooled[:1024].T] if tabular else [],
            "entries": self.entries,
            "non_finite": self.non_finite,
            "bad_samples": list(self.bad_samples),
            "bad_step": self.bad_step,
            "spatial": len(self.shape) >= 3,
            "label_entropy": _entropy(pooled) if self.kind != "float" and pooled.shape[1:] == (1,) else None,
        }


def _entropy(labels: NDArray[np.float64]) -> float:
    """Entropy of the labels' frequencies, in nats."""
    _, counts = np.unique(labels, return_counts=True)
    share = counts / max(counts.sum(), 1)
    return float(-(share * np.log(share)).sum())


def kind_of(tensor: torch.Tensor) -> str:
    """ "float", "integer" or "bool"."""
    if tensor.is_floating_point():
        return "float"
    return "bool" if tensor.dtype is torch.bool else "integer"


def flat_tensors(values: Any, depth: int = 4) -> list[torch.Tensor]:
    """The tensors in nested tuples, lists, mappings, dataclasses and plain objects, in order."""
    if isinstance(values, torch.Tensor):
        return [values]
    if depth == 0 or isinstance(values, (str, bytes, type, torch.nn.Module)) or callable(values):
        return []
    if isinstance(values, Mapping):
        values = list(values.values())
    elif hasattr(values, "__dataclass_fields__"):
        values = [getattr(values, name, None) for name in values.__dataclass_fields__]
    elif not isinstance(values, (tuple, list)):
        values = list(getattr(values, "__dict__", {}).values())
    return [tensor for each in values for tensor in flat_tensors(each, depth - 1)]


def batch_size(tensors: list[torch.Tensor]) -> int:
    """The first dimension of the first tensor that has one."""
    return next((int(each.shape[0]) for each in tensors if each.dim()), 1)
