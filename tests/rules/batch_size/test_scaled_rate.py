"""The rate that goes with another batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Location
from dnndoctor.measurements import BatchSweep, LearningRateSweep, Loaders, Optimizers
from dnndoctor.rules.batch_size.scaled_rate import scaled_rate
from dnndoctor.rules.batch_size.stochastic_updates import stochastic_updates
from tests.literals import an_optimizer
from tests.rules.batch_size.conftest import make_loaders, make_sweep


def rates(diverging: float | None, optimizer: str = "SGD") -> LearningRateSweep:
    one = np.array([0.1])
    return LearningRateSweep(
        optimizer, one, one, 2.0, 0.01, 0.1, 1.0, 0.1, 1.0, (0.1, 0.1), diverging, 20, True, "high"
    )


@pytest.mark.parametrize(
    ("name", "diverging", "rate"),
    [
        ("SGD", 100.0, "0.3"),  # linear: 32 times
        ("SGD", 0.6, "0.2"),  # a third of where it diverges
        ("SGD", 0.02, "0.01"),  # no lower than it was
        ("SGD", None, "0.06"),  # the root, where no edge was seen
        ("AdamW", 100.0, "0.06"),
        ("AdamW", 0.06, "0.02"),
    ],
)
def test_the_rate_rises_as_far_as_training_holds(name: str, diverging: float | None, rate: str) -> None:
    assert scaled_rate(an_optimizer(name, 0.01), rates(diverging, name), 32) == rate


def test_an_edge_of_another_optimizer_says_nothing() -> None:
    assert scaled_rate(an_optimizer("SGD", 0.01), rates(0.03, "Adam"), 32) == "0.06"


@pytest.mark.parametrize(
    "changes", [{"learning_rates": (0.1, 0.01)}, {"warming_up": True}, {"peak_rate": 1.0}, {"learning_rates": (0.0,)}]
)
def test_a_rate_that_is_not_one_is_left_alone(changes: dict[str, Any]) -> None:
    several = Optimizers((replace(an_optimizer().main, **changes),))
    assert scaled_rate(several, None, 32) is None
    assert scaled_rate(None, None, 32) is None


def test_the_edit_writes_both() -> None:
    optimizers, slow = an_optimizer("SGD", 0.01), make_sweep({1: 2000.0, 32: 50000.0}, 1, 32)
    measured = {BatchSweep: slow, Loaders: make_loaders(1), Optimizers: optimizers, LearningRateSweep: rates(100.0)}
    [found] = stochastic_updates.evaluate(measured).findings
    assert found.fix is not None
    assert found.fix.code == "batch_size=32  # and lr=0.3"
    assert found.fix.changes[1] == SetArgument("lr", "0.3", at=Location("train.py", 20, 48))
