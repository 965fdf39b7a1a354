"""What the rows of a matrix of weights tell: units that are alike or off, and how many directions are left.

Units are rows in PyTorch's layers; of a kernel each output is one.
"""

from __future__ import annotations

import torch

ROWS, ENTRIES = 512, 1024
SQUARE = 256  # a matrix of that size has its singular values taken in some milliseconds
SAME = 1e-3  # of a row's norm; units that started alike drift apart by rounding only, and by far less
QUIET = 1e-3  # of the median row's norm


def facts(tensor: torch.Tensor, spectrum: bool) -> dict[str, float | None]:
    """``alike`` and ``quiet``, and with ``spectrum`` ``rank`` and ``top``, as of ``measurements.SavedTensor``."""
    if tensor.dim() < 2 or tensor.shape[0] < 2:
        return {}
    sample = _sample(tensor.reshape(tensor.shape[0], -1), ROWS, ENTRIES)
    if sample.shape[1] < 2 or not bool(torch.isfinite(sample).all()):
        return {}
    norms = sample.norm(dim=1)
    middle, first = float(norms.median()), float(norms[0])
    apart = (sample - sample[0]).norm(dim=1)
    found: dict[str, float | None] = {
        "alike": float((apart <= SAME * first).double().mean()) if first > 0 else None,
        "quiet": float((norms < QUIET * middle).double().mean()) if middle > 0 else None,
    }
    return found | (_spectrum(_sample(sample, SQUARE, SQUARE)) if spectrum else {})


def _sample(matrix: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Evenly spread rows and columns, the first among them; an odd step does not stay within one head or group."""
    steps = [max(-(-size // most) | 1, 1) for size, most in zip(matrix.shape, (rows, columns), strict=True)]
    return matrix[:: steps[0], :: steps[1]].double()


def _spectrum(matrix: torch.Tensor) -> dict[str, float | None]:
    values = torch.linalg.svdvals(matrix)
    total = float(values.sum())
    if not total > 0:
        return {}
    share = values / total
    entropy = -float((share * share.clamp_min(1e-300).log()).sum())
    squares = values.square()
    return {"rank": float(torch.tensor(entropy).exp()) / len(values), "top": float(squares[0] / squares.sum())}
