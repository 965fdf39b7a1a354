"""Whether the random streams that training draws from were given a seed."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dnndoctor.observe.window import Border, Window

if TYPE_CHECKING:
    from dnndoctor.observe.watch import Watch


class Seeds(Window):
    """The streams of Python, numpy and torch: which moved until the second step, and which were seeded.

    Python's own counts from the first step on, as libraries draw from it when they are imported.
    """

    name = "seeds"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._seeded: set[str] = set()
        self._start: dict[str, Any] | None = None
        self._drawn: set[str] = set()

    def install(self, border: Border) -> None:
        """Wrap the calls that seed."""
        self._start = _states()
        for stream, owner, name in (
            ("torch", torch, "manual_seed"),
            ("torch", torch.random, "manual_seed"),
            ("torch", torch, "set_rng_state"),
            ("torch", torch.random, "set_rng_state"),
            ("numpy", np.random, "seed"),
            ("numpy", np.random, "set_state"),
            ("python", random, "seed"),
            ("python", random, "setstate"),
        ):
            border.patch(owner, name, self._noting(getattr(owner, name), stream))

    def _noting(self, original: Callable[..., Any], stream: str) -> Callable[..., Any]:
        @functools.wraps(original)
        def seed(*args: Any, **kwargs: Any) -> Any:
            if self.watch.observing and not self._drawn and (args or kwargs):
                self._seeded.add(stream)
            return original(*args, **kwargs)

        return seed

    def before_step(self, _optimizer: torch.optim.Optimizer) -> None:
        """By the second step all streams that training draws from have moved."""
        if self._start is None or self.watch.step > 1:
            return
        now = _states()
        if not self.watch.step:
            self._start["python"] = now["python"]  # the import of some library has drawn from it
            return
        self._drawn = {stream for stream, state in now.items() if state != self._start[stream]}
        self._start = None

    def facts(self) -> dict[str, Any] | None:
        """``drawn``: the streams that moved; ``seeded``: those that were given a seed or a state before."""
        if self._start is not None:
            return None
        return {"drawn": sorted(self._drawn), "seeded": sorted(self._seeded)}


def _states() -> dict[str, Any]:
    numpy: Any = np.random.get_state()
    return {
        "torch": hash(torch.get_rng_state().numpy().tobytes()),
        "numpy": hash((numpy[1].tobytes(), numpy[2])),
        "python": hash(random.getstate()),
    }
