"""One thing that a recorded step is looked at for, and how a small sample of a tensor is taken."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from dnndoctor.observe import sampling
from dnndoctor.observe.transforms import readable

SAMPLE = 1024  # entries of a tensor, at most
_HALF = (torch.float16, torch.bfloat16)

Declare = Callable[..., int]  # Store.series
Figures = tuple[list[int], torch.Tensor]  # numbers of series, and a value for each


class Look:
    """One thing that is looked at together, in the steps that can afford it."""

    name = ""
    seconds = 0.0  # spent in hooks of its own since it was asked last

    def before_forward(self) -> None:
        """The step begins."""

    def before_step(self) -> None:
        """The gradients are there."""

    def after_step(self) -> Figures | None:
        """The optimizer has stepped; gives what was seen."""
        return None

    def drop(self) -> None:
        """The step ended otherwise, or recording does."""


def strided(tensor: torch.Tensor) -> torch.Tensor:
    """At most ``SAMPLE`` entries from all over the tensor, one-dimensional: a view wherever the layout allows it.

    The stride is odd and coprime to the dimensions, since an even one aliases with feature maps.
    """
    if tensor.is_contiguous():
        flat = tensor.view(-1)
    else:  # channels last, transposed: in the order of the memory
        order = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
        flat = tensor.permute(order).reshape(-1)
    return flat if flat.numel() <= SAMPLE else flat[:: _stride(flat.numel(), tensor.shape)]


@functools.lru_cache(maxsize=4096)
def _stride(size: int, shape: torch.Size) -> int:
    most = -(-size // SAMPLE)  # a stride that is no smaller gives no more than SAMPLE entries
    stride = sampling.stride_for(size, SAMPLE, *shape)
    while stride < most:
        stride = sampling.stride_for(size, max(size // (stride + 2), 1), *shape)
    return stride


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """The part that lies on this rank, dense."""
    local = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return local.coalesce().values() if local.is_sparse else local


def local(tensor: torch.Tensor) -> torch.Tensor | None:
    """As ``plain``; None of a tensor that has no values to look at."""
    found = plain(tensor)
    return found if readable(found) else None


def norms(tensors: list[torch.Tensor]) -> torch.Tensor:
    """Their l2 norms as one tensor on the device of the first, [len(tensors)], in float32 or wider."""
    if all(each.dtype in _HALF for each in tensors):
        found = torch._foreach_norm(tensors, 2, dtype=torch.float32)
    else:
        found = torch._foreach_norm([each.float() if each.dtype in _HALF else each for each in tensors])
    if all(each.device == found[0].device and each.dtype == torch.float32 for each in found):
        return torch.stack(found)
    return torch.stack([each.to(found[0].device, torch.float32) for each in found])
