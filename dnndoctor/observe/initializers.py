"""Which line of the user's gave a parameter its values last, by a function of ``torch.nn.init``."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.observe.source import caller, is_user_file
from dnndoctor.observe.transforms import readable
from dnndoctor.observe.window import Border, Window

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch

FUNCTIONS = tuple(
    f"{name}_"
    for name in "uniform normal trunc_normal constant ones zeros eye dirac xavier_uniform xavier_normal "
    "kaiming_uniform kaiming_normal orthogonal sparse".split()
)
MOST_ADDRESSES = 10_000


class Initializers(Window):
    """Calls from the user's own lines; what layers do as they are built is no line of theirs."""

    name = "initializers"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._lines: MutableMapping[torch.Tensor, Location | None] = WeakIdKeyDictionary()
        self._addresses: dict[int, Location | None] = {}  # of what is no parameter: ``weight.data``
        self._flat: set[Location | None] = set()  # lines that were given vectors

    def install(self, border: Border) -> None:
        """Wrap every function."""
        for name in FUNCTIONS:
            border.patch(nn.init, name, _noted(getattr(nn.init, name), border.shielded(self._note)))

    def _note(self, tensor: Any) -> None:
        if self.watch.backward_seen or not isinstance(tensor, torch.Tensor):
            return
        place = caller()
        if tensor.dim() < 2:
            self._flat.add(place)
        if isinstance(tensor, nn.Parameter):
            self._lines[tensor] = place
        elif readable(tensor) and len(self._addresses) < MOST_ADDRESSES:
            self._addresses[tensor.data_ptr()] = place

    def facts(self) -> dict[str, Any] | None:
        """By the parameter's name: the line, and whether it was given vectors too."""
        found = {}
        for name, _, _, parameter in self.watch.modules.named_parameters():
            place = self._lines.get(parameter)
            if place is None and self._addresses and readable(parameter):
                place = self._addresses.get(parameter.data_ptr())
            if place is not None:
                found[name] = [place, place in self._flat]
        return {"parameters": found} if found else None


def _noted(original: Callable[..., Any], note: Callable[[Any], None]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if is_user_file(sys._getframe(1).f_code.co_filename):
            note(args[0] if args else kwargs.get("tensor"))
        return original(*args, **kwargs)

    return call
