"""Class targets that a loss raised on, ids that an embedding did: they end the program before anything is measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from dnndoctor.observe.data import kind_of
from dnndoctor.observe.names import operation_name
from dnndoctor.observe.source import caller
from dnndoctor.observe.transforms import readable

BY_CLASS = frozenset(("cross_entropy", "nll_loss"))
MOST_VALUES = 1000


def refused(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """Plain facts of a loss over class indices, or of an embedding, that has raised; None of any other function.

    ``values`` are pairs of a target and its count, ``classes`` the outputs that the loss chooses from; of an embedding
    ids and rows.
    """
    name = operation_name(func)
    if name not in (*BY_CLASS, "embedding"):
        return None
    first = args[0] if args else kwargs.get("input")
    second = args[1] if len(args) > 1 else kwargs.get("weight" if name == "embedding" else "target")
    if not isinstance(first, torch.Tensor) or not isinstance(second, torch.Tensor) or not first.dim():
        return None
    target, prediction = (first, second.t()) if name == "embedding" else (second, first)
    if target.is_floating_point() or not readable(target) or not target.numel():
        return None
    with torch._C.DisableTorchFunction():  # a mode of the user's shall not see what looking calls
        values, counts = torch.unique(target.detach(), return_counts=True)
    if len(values) > MOST_VALUES:
        return None
    return {
        "name": name,
        "location": caller(),
        "kind": kind_of(target),
        "shape": list(target.shape),
        "classes": prediction.shape[1] if prediction.dim() > 1 else prediction.shape[0],
        "ignored": int(kwargs.get("ignore_index", -100)),
        "values": [[float(v), int(c)] for v, c in zip(values.tolist(), counts.tolist(), strict=True)],
    }
