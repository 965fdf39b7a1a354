"""When gradients are clipped: before there are any, or after backward and before the step."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from dnndoctor.observe.source import caller
from dnndoctor.observe.window import Border, Window

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch

MOST_PARAMETERS = 16  # of those clipped that are looked at


class ClipOrder(Window):
    """For every interval between two steps of an optimizer, what its last clipping came to."""

    name = "clip-order"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._clips: dict[int, _Clip] = {}  # by parameter, the last one
        self._clipped, self._in_vain = 0, 0
        self._location: Location | None = None

    def install(self, border: Border) -> None:
        """Wrap both ways of clipping, and what clears."""
        note, cleared = border.shielded(self._note), border.shielded(self._clear)
        for name in ("clip_grad_norm_", "clip_grad_value_"):
            border.patch(nn.utils, name, _after(getattr(nn.utils, name), note))
        border.patch(torch.optim.Optimizer, "zero_grad", _after(torch.optim.Optimizer.zero_grad, cleared))
        border.patch(nn.Module, "zero_grad", _after(nn.Module.zero_grad, cleared))

    def _note(self, parameters: Any, limit: float = math.inf, *_: Any, **named: Any) -> None:
        limit = named.get("max_norm", named.get("clip_value", limit))
        if not self.watch.observing or not self.watch.deep or math.isinf(float(limit)):
            return
        listed = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
        seen = [each.grad for each in listed[:MOST_PARAMETERS]]
        empty = not any(each is not None and bool((each != 0).any()) for each in seen)
        one = _Clip(caller(), empty)
        self._clips.update((id(each), one) for each in listed)

    def _clear(self, holder: Any, *_: Any, **__: Any) -> None:
        groups = getattr(holder, "param_groups", None)
        held = holder.parameters() if groups is None else (p for group in groups for p in group["params"])
        for each in held:
            if id(each) in self._clips:
                self._clips[id(each)].cleared = True

    def before_backward(self, _roots: list[torch.Tensor]) -> None:
        """What was clipped is added to, or made anew."""
        for each in self._clips.values():
            each.followed = True

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Close the optimizer's interval."""
        clips = {
            id(clip): clip
            for group in optimizer.param_groups
            for p in group["params"]
            if (clip := self._clips.pop(id(p), None)) is not None
        }
        if not clips:
            return
        self._clipped += 1
        if all(each.followed and (each.empty or each.cleared) for each in clips.values()):
            self._in_vain += 1
            self._location = self._location or next(iter(clips.values())).location

    def facts(self) -> dict[str, Any] | None:
        """``steps``: with a clipping since the step before; ``in_vain``: of these, without gradients to clip."""
        if not self._clipped:
            return None
        return {"steps": self._clipped, "in_vain": self._in_vain, "location": self._location}


class _Clip:
    """One call: where, whether it met no gradients; whether they were cleared, and backward ran, afterwards."""

    def __init__(self, location: Location | None, empty: bool) -> None:
        self.location, self.empty = location, empty
        self.cleared = self.followed = False


def _after(original: Callable[..., Any], note: Callable[..., Any]) -> Callable[..., Any]:
    """The original; noted first where it takes parameters, since clipping a generator uses it up."""

    @functools.wraps(original)
    def call(first: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(first, (torch.Tensor, torch.optim.Optimizer, nn.Module)):
            first = list(first)
        note(first, *args, **kwargs)
        return original(first, *args, **kwargs)

    return call
