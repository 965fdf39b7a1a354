"""Where the script says how many threads torch computes with."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from dnndoctor.observe.source import caller
from dnndoctor.observe.window import Border, Window

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch


class SetThreads(Window):
    """The last call of ``torch.set_num_threads`` that some line of the user's led to."""

    name = "threads"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._location: Location | None = None

    def install(self, border: Border) -> None:
        """Wrap the call."""
        border.patch(torch, "set_num_threads", self._noting(torch.set_num_threads))

    def _noting(self, original: Callable[[int], None]) -> Callable[..., Any]:
        @functools.wraps(original)
        def set_num_threads(*args: Any, **kwargs: Any) -> Any:
            if self.watch.observing:
                self._location = caller()
            return original(*args, **kwargs)

        return set_num_threads

    def facts(self) -> dict[str, Any] | None:
        """``location``: of the call."""
        return {"location": self._location} if self._location is not None else None
