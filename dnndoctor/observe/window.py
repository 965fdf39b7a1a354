"""A window: one thing to look at while the user's loop runs. One file each; ``windows.py`` lists them.

A window only looks. Whatever it raises ends the whole examination as a bug of ours, so it looks with care; it holds
no tensor of the user's beyond the step, and its facts are plain numbers, texts, lists and locations.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import torch
    from torch import nn

    from dnndoctor.findings import Location
    from dnndoctor.observe.loaders import LoaderFacts
    from dnndoctor.observe.watch import Watch


class Border(Protocol):
    """Where a window may put wrappers of its own; they come off again with everything else of ours."""

    def patch(self, owner: Any, name: str, new: Any) -> None:
        """Put ``new`` in the place of the owner's attribute."""

    def shielded(self, look: Callable[..., Any]) -> Callable[..., Any]:
        """``look`` made harmless: it raises nothing, and returns None where it would have."""


class Window:
    """The calls that a window may answer. Those that it does not override cost nothing."""

    name: ClassVar[str]  # of its facts in the recording

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def install(self, border: Border) -> None:
        """Wrap what no other border tells of."""

    def module_built(self, module: nn.Module, location: Location | None) -> None:
        """A module was constructed."""

    def optimizer_built(self, optimizer: torch.optim.Optimizer, location: Location | None) -> None:
        """An optimizer was constructed."""

    def scheduler_built(self, scheduler: Any, location: Location | None) -> None:
        """A learning-rate scheduler was constructed."""

    def loader_built(self, loader: Any, location: Location | None) -> None:
        """A DataLoader was constructed."""

    def batch(self, loader: LoaderFacts, batch: Any) -> None:
        """A loader gave the user's loop a batch (no trial's)."""

    def called(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A module is called, in watched steps; ``kwargs`` are known of a model's outermost call only."""

    def returned(self, module: nn.Module, output: Any) -> None:
        """A module has returned, in watched steps."""

    def function(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """A torch function was called outside of backward, in watched steps; gradients on or off."""

    def before_backward(self, roots: list[torch.Tensor]) -> None:
        """Backward is about to run on these, in watched steps."""

    def after_backward(self, roots: list[torch.Tensor]) -> None:
        """Backward has run."""

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer is about to step, in watched steps: the gradients are there."""

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer has stepped; ``watch.step`` has not been counted up yet."""

    def facts(self) -> dict[str, Any] | None:
        """What was seen so far; None where there is nothing to tell. Called at every flush of the recording."""
        return None


class Windows:
    """All windows; a call goes to those that answer it."""

    def __init__(self, windows: Iterable[Window]) -> None:
        self.all = tuple(windows)
        self.broken: dict[str, str] = {}  # by a bug of ours: what each said
        self._answering: dict[str, tuple[Callable[..., None], ...]] = {}
        for name in vars(Window):
            if not name.startswith("_"):
                self._answering[name] = tuple(
                    getattr(each, name)
                    for each in self.all
                    if getattr(type(each), name, None) is not getattr(Window, name, None)
                )

    def tell(self, call: str, *args: Any) -> None:
        """Tell every window that answers this call; one that breaks is told no more, and the others look on."""
        for answer in self._answering[call]:
            try:
                answer(*args)
            except Exception as bug:  # noqa: BLE001 - it is told in the report
                self._give_up(answer.__self__, bug)  # type: ignore[attr-defined]

    def _give_up(self, window: Window, bug: Exception) -> None:
        place = traceback.extract_tb(bug.__traceback__)[-1]
        said = (str(bug).splitlines() or [""])[0][:150]
        self.broken[window.name] = f"{type(bug).__name__}: {said} ({os.path.basename(place.filename)}:{place.lineno})"
        for call, answers in self._answering.items():
            self._answering[call] = tuple(each for each in answers if each.__self__ is not window)  # type: ignore[attr-defined]

    def rows(self) -> list[dict[str, Any]]:
        """The facts of each, for the recording."""
        rows = []
        for each in self.all:
            try:
                facts = None if each.name in self.broken else each.facts()
            except Exception as bug:  # noqa: BLE001 - it is told in the report
                self._give_up(each, bug)
                continue
            if facts is not None:
                rows.append({"name": each.name, "facts": facts})
        return rows
