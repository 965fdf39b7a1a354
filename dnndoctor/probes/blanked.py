"""Does the model use its input? The same steps with inputs of zeros, and outputs for inputs that changed places.

Training on zeros that does as well as training on the data has learned from the targets alone. That may be the task
(or the first thing learned in it), so the model itself is asked too, at the end of the trial on the data: which outputs
does it give if the samples of a batch exchange their inputs?
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from dnndoctor.probes.experiment import Call, Plan, Planned, Setting, Trial
from dnndoctor.probes.loop import Loop

STEPS = 40
TAIL = 0.3  # of a trial's steps that are compared


class BlankedInputs(Planned):
    """Trials on the data, and one on zeros."""

    name = "blanked-inputs"

    def __init__(self) -> None:
        super().__init__()
        self._facts: dict[str, Any] = {}
        self._changes: list[float] = []
        self._targets_inside = False

    def refusal(self, loop: Loop) -> str | None:
        """A call of the model with tensors of data is needed."""
        if (reason := loop.no_rates()) is not None:
            return reason
        if not any(tree_leaves(only_data(call, lambda t: t)) for call in calls(loop).values()):
            return "no call of the model with a tensor of data was seen"
        return None

    def plan(self, loop: Loop, steps: int) -> Plan:
        """The same steps twice, at the better of the user's and the best rate, and once at the user's.

        A rate that is the best for some steps may have killed every unit by then: no fault of the user's.
        """
        with loop.quietly():
            for model, call in calls(loop).items():
                # Raises where the model does not take it: no trial is begun then.
                outputs = _output(model, blanked(call))
                self._targets_inside = self._targets_inside or any(t.dim() == 0 for t in outputs)
        each = max(min(STEPS, steps // 3), 8)
        rate = loop.better_rate
        if rate != loop.user_rate:
            yield Trial(Setting(rate=loop.user_rate), each)
            self._ask(loop)
        real = yield Trial(Setting(rate=rate), each)
        self._ask(loop)
        blank = yield Trial(Setting(rate=rate, inputs=partial(blanked, targets_inside=self._targets_inside)), each)
        tail = max(round(each * TAIL), 1)
        gaps = np.asarray(blank[-tail:]) - np.asarray(real[-tail:]) if len(real) == len(blank) else np.zeros(0)
        self._facts = {
            "rate": rate,
            "steps": each,
            "start": real[0],
            "real": float(np.mean(real[-tail:])),
            "blank": float(np.mean(blank[-tail:])),
            "gap_error": float(np.std(gaps) / max(len(gaps), 1) ** 0.5) if len(gaps) else None,
            "change": max(self._changes) if self._changes else None,
        }

    def _ask(self, loop: Loop) -> None:
        """The models as the trial leaves them."""
        with loop.quietly():
            for model, call in calls(loop).items():
                if (change := _change(model, call, self._targets_inside)) is not None:
                    self._changes.append(change)

    def facts(self, paired: bool) -> dict[str, Any]:
        """What both came to; nothing before both are made."""
        return {**self._facts, "paired": paired} if self._facts else {}


def calls(loop: Loop) -> dict[nn.Module, Call]:
    """The trained models that are given data, with their last watched call."""
    roots = {id(each) for each in loop.roots()}
    known = {module: call for module, call in loop.watch.root_inputs.items() if id(module) in roots}
    return {module: call for module, call in known.items() if _is_data(call)}


def _is_data(call: Call) -> bool:
    """What requires gradients was made by another part of the model."""
    tensors = [t for t in tree_leaves(call) if isinstance(t, torch.Tensor)]
    return bool(tensors) and not any(t.requires_grad for t in tensors)


def only_data(call: Call, change: Callable[[torch.Tensor], Any], targets_inside: bool = False) -> Call:
    """Change what tells of the samples; lengths, masks and what else steers a model is left alone.

    That is floating tensors and tables of whole numbers beyond 0 and 1, as of words; where there are none of either,
    the first tensor of whole numbers. ``targets_inside``: the model makes its loss itself and is given the targets
    too: then it is the first such tensor alone, and none that is named for a target.
    """
    args, kwargs = call
    named = {key: value for key, value in kwargs.items() if not (targets_inside and key.startswith(_TARGETS))}
    leaves = [t for t in tree_leaves((args, named)) if isinstance(t, torch.Tensor) and t.dim() > 0]
    wanted = [t for t in leaves if t.is_floating_point() or (t.dim() > 1 and _counts(t))]
    wanted = wanted or [t for t in leaves[:1] if t.dtype in _WHOLE]
    chosen = {id(t) for t in (wanted[:1] if targets_inside else wanted)}
    changed: Call = tree_map(lambda value: change(value) if id(value) in chosen else value, call)
    return changed


_TARGETS = ("label", "target", "y")
_WHOLE = (torch.int64, torch.int32)


def _counts(tensor: torch.Tensor) -> bool:
    return tensor.dtype in _WHOLE and bool(tensor.numel()) and int(tensor.max()) > 1


def blanked(call: Call, targets_inside: bool = False) -> Call:
    """Zeros in the place of the data."""
    return only_data(call, torch.zeros_like, targets_inside) if _is_data(call) else call


def _change(model: nn.Module, call: Call, targets_inside: bool) -> float | None:
    """The largest change of an output if inputs change places, of the outputs' own size; None if not to be told."""
    if not any(
        len(t) > 1 for t in tree_leaves(only_data(call, lambda t: t)) if isinstance(t, torch.Tensor) and t.dim()
    ):
        return None
    mixed = only_data(call, lambda t: t.roll(1, 0), targets_inside)
    own, other = _output(model, call), _output(model, mixed)
    changes = []
    for one, two in zip(own, other, strict=True):
        size = float(one.abs().max()) if one.numel() else 0.0
        if one.shape == two.shape and one.dim() > 0 and np.isfinite(size):
            changes.append(float((one - two).abs().max()) / max(size, 1e-12))
    return max(changes) if changes else None


def _output(model: nn.Module, call: Call) -> list[torch.Tensor]:
    """Of the model in evaluation mode, without gradients."""
    modes = [each for each in model.modules() if each.training]
    try:
        for each in modes:
            each.training = False
        with torch.no_grad():
            output = model(*call[0], **call[1])
    finally:
        for each in modes:
            each.training = True
    leaves = tree_leaves(dict(output) if hasattr(output, "keys") else output)
    return [t.detach() for t in leaves if isinstance(t, torch.Tensor) and t.is_floating_point()]
