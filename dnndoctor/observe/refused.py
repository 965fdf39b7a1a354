"""The class targets that a loss raised on: a label without an output ends the program before anything is measured."""

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
    """Plain facts of a loss over class indices that has raised; None of any other function.

    ``values`` are pairs of a target and its count, ``classes`` the outputs that the loss chooses from.
    """
    name = operation_name(func)
    if name not in BY_CLASS:
        return None
    prediction = args[0] if args else kwargs.get("input")
    target = args[1] if len(args) > 1 else kwargs.get("target")
    if not isinstance(prediction, torch.Tensor) or not isinstance(target, torch.Tensor) or not prediction.dim():
        return None
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
