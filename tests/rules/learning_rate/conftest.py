"""Sweeps with literal rates and losses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location
from dnndoctor.measurements import LearningRateSweep, Optimizer, Optimizers


@pytest.fixture
def sweep() -> Callable[..., LearningRateSweep]:
    return make_sweep


@pytest.fixture
def optimizers() -> Callable[..., Optimizers]:
    return make_optimizers


def make_sweep(user_rate: float, user_score: float, **changes: Any) -> LearningRateSweep:
    """A loss that starts at 2.3 and is best, 0.3, at a rate of 0.1; it diverges from 10 on."""
    known = {1e-5: 2.299, 1e-3: 2.2, 1e-2: 1.5, 0.03: 0.6, 0.1: 0.3, 1.0: 1.9, 10.0: np.inf} | {user_rate: user_score}
    rates = np.array(sorted(known))
    given: dict[str, Any] = {
        "optimizer": "SGD",
        "rates": rates,
        "scores": np.array([known[rate] for rate in rates]),
        "start": 2.3,
        "noise": 0.02,
        "user_rate": user_rate,
        "user_score": user_score,
        "best_rate": 0.1,
        "best_score": 0.3,
        "usable": (0.05, 0.2),
        "diverging_rate": 10.0,
        "steps": 20,
        "paired": True,
        "confidence": "high",
    }
    return LearningRateSweep(**(given | changes))


def make_optimizers(name: str = "SGD", rates: tuple[float, ...] = (0.1,), **changes: Any) -> Optimizers:
    here, lr = Location("train.py", 20), Location("train.py", 20, 48)
    given: dict[str, Any] = {"rate_location": lr, "steps": 50}
    return Optimizers((Optimizer(name, here, rates, max(rates), **(given | changes)),))
