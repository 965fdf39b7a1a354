"""Dropouts that the model's mode does not reach: called as functions without it, or built in the forward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from dnndoctor.observe.arguments import gives
from dnndoctor.observe.source import caller
from dnndoctor.observe.window import Window
from dnndoctor.recording.operations import DROPOUTS

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch

PLACE_OF_MODE = 2  # of the argument ``training`` of ``F.dropout`` and its kind; it is True where it is left out


class FunctionalDropout(Window):
    """Lines with a dropout that is always on, with its calls in training and in evaluation mode."""

    name = "functional-dropout"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._given: dict[Location, bool] = {}
        self._lines: dict[tuple[str, int], dict[str, Any]] = {}

    def function(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], _result: Any) -> None:
        """Look at a dropout whose mode nobody gave, or whose layer is new."""
        name = getattr(func, "__name__", "")
        if name not in DROPOUTS or not self.watch.stack:
            return
        inner = self.watch.stack[-1]
        layer = isinstance(inner, _DropoutNd)
        holder = self._holder() if layer else inner
        if holder is None or (layer and self._registered(inner, holder)):
            return
        mode = args[2] if len(args) > PLACE_OF_MODE else kwargs.get("training", True)
        p = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
        if mode is True and isinstance(p, (int, float)) and p > 0:
            self._note(name, float(p), holder, layer)

    def _holder(self) -> nn.Module | None:
        return next((each for each in reversed(self.watch.stack[:-1]) if not isinstance(each, _DropoutNd)), None)

    def _registered(self, layer: nn.Module, holder: nn.Module) -> bool:
        direct = any(each is layer for each in holder.children())
        return direct or any(each is layer for each in self.watch.stack[0].modules())

    def _note(self, name: str, p: float, holder: nn.Module, layer: bool) -> None:
        place = caller()
        if place is None or (not layer and self._gives_mode(place)):
            return
        line = self._lines.setdefault(
            (place.file, place.line),
            {
                "location": place,
                "function": name,
                "p": p,
                "layer": layer,
                "holder": self.watch.modules.path(holder) or type(holder).__name__,
                "training": 0,
                "evaluation": 0,
            },
        )
        line["training" if holder.training or torch.is_grad_enabled() else "evaluation"] += 1

    def _gives_mode(self, place: Location) -> bool:
        """Read off the source: what a function was not given it passes on as its default."""
        if place not in self._given:
            self._given[place] = gives(place, "training", PLACE_OF_MODE)
        return self._given[place]

    def facts(self) -> dict[str, Any] | None:
        """The lines."""
        return {"lines": list(self._lines.values())} if self._lines else None
