"""Waits for the accelerator: values that the user's loop takes over to the host."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from dnndoctor.observe.source import caller, is_user_file
from dnndoctor.observe.window import Border, Window

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch

TAKING = ("item", "tolist", "cpu", "numpy", "__float__", "__int__", "__bool__")


class Waits(Window):
    """Calls in the user's own files that end in a copy from the accelerator; on a CPU nothing is noted."""

    name = "waits"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self.seconds = 0.0
        self.places: dict[Location, int] = {}
        self._steps: set[int] = set()

    def install(self, border: Border) -> None:
        """Wrap what takes a tensor's value over, where there is an accelerator to take it from."""
        if torch.accelerator.is_available():
            for name in TAKING:
                border.patch(
                    torch.Tensor, name, self._wrapped(getattr(torch.Tensor, name), border.shielded(self._note))
                )

    def _wrapped(self, original: Callable[..., Any], note: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def take(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            watch = self.watch
            theirs = watch.deep and watch.observing and is_user_file(sys._getframe(1).f_code.co_filename)
            if not theirs or tensor.device.type == "cpu":
                return original(tensor, *args, **kwargs)
            began = time.perf_counter()
            result = original(tensor, *args, **kwargs)
            note(time.perf_counter() - began)
            return result

        return take

    def _note(self, seconds: float) -> None:
        place = caller()
        self.seconds += seconds
        self._steps.add(self.watch.step)
        if place is not None and len(self.places) < 50:
            self.places[place] = self.places.get(place, 0) + 1

    def facts(self) -> dict[str, Any] | None:
        """How many steps had a wait, and what was waited for in all."""
        if not self.places:
            return None
        places = sorted(self.places.items(), key=lambda each: -each[1])
        return {
            "steps": len(self._steps),
            "seconds": self.seconds,
            "places": [[count, place] for place, count in places[:10]],
        }
