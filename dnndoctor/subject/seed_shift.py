"""Other random numbers for a program that seeds itself: the seeds that it sets are moved, the program is not touched.

Most scripts set a seed, and would train the same network again and again, however often they are examined. Generators
of their own (``torch.Generator``, ``numpy.random.default_rng``) keep their seeds: they mostly split or shuffle data.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

NUMPY_SEEDS = 2**32
# torch.manual_seed seeds accelerators by these functions, and so moves them twice: other numbers all the same.
STREAMS: tuple[tuple[Any, str], ...] = (
    (torch, "manual_seed"),
    (torch.random, "manual_seed"),
    *((each, name) for each in (torch.cuda, torch.mps, torch.xpu) for name in ("manual_seed", "manual_seed_all")),
    (random, "seed"),
    (np.random, "seed"),
)


def install(shift: int) -> None:
    """From now on the seeds of Python, numpy and torch are ``shift`` higher than what is asked for."""
    if not shift:
        return
    for owner, name in STREAMS:
        if hasattr(owner, name):
            setattr(owner, name, _shifted(getattr(owner, name), shift, NUMPY_SEEDS if owner is np.random else None))


def _shifted(original: Callable[..., Any], shift: int, below: int | None) -> Callable[..., Any]:
    @functools.wraps(original)
    def seed(*args: Any, **kwargs: Any) -> Any:
        args = tuple(_moved(each, shift, below) for each in args[:1]) + args[1:]
        kwargs = {name: _moved(each, shift, below) if name in ("seed", "a") else each for name, each in kwargs.items()}
        return original(*args, **kwargs)

    return seed


def _moved(seed: Any, shift: int, below: int | None) -> Any:
    """Only whole numbers can be moved: None asks for the clock, an array stands for itself."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        return seed
    moved = int(seed) + shift
    return moved % below if below else moved
