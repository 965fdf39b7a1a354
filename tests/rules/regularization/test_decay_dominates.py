from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Groups
from dnndoctor.rule import State
from dnndoctor.rules.regularization.decay_dominates import decay_dominates as rule
from tests.literals import an_optimizer, judged, the_groups


def decayed(ratio: float = 3.0, left: float = 0.5, **changes: Any) -> Groups:
    norms = tuple(np.linspace(1.0, left, 10))
    return the_groups(decay=0.5, **({"decay_ratios": (ratio,) * 10, "decayed_norms": norms} | changes))


def test_a_decay_that_decides_is_found() -> None:
    place = Location("train.py", 20, 50)
    [found] = judged(rule, decayed(decay_location=place), an_optimizer()).findings
    assert (found.severity, found.location) == (Severity.WARNING, place)
    assert "moves the weights 3 times as much as the data do: they shrank to 61%" in found.message
    assert found.fix is not None
    assert found.fix.code == "weight_decay=0.0001"


@pytest.mark.parametrize(("ratio", "left"), [(1.0, 0.5), (3.0, 0.91), (3.0, 1.2)])
def test_it_takes_both_the_ratio_and_the_shrinking(ratio: float, left: float) -> None:
    assert judged(rule, decayed(ratio, left), an_optimizer()).state is State.PASS


def test_weights_that_swing_around_zero_shrink_all_the_same() -> None:
    norms = (2.6, 0.7, 1.1, 1.1, 0.1, 0.6, 0.5, 0.05, 0.3, 0.2)
    assert judged(rule, decayed(decayed_norms=norms), an_optimizer()).state is State.FINDING


def test_weights_that_come_back_are_sound() -> None:
    norms = (1.0, 0.6, 0.5, 0.7, 0.95, 0.8)
    assert judged(rule, decayed(decayed_norms=norms), an_optimizer()).state is State.PASS


def test_where_it_says_nothing() -> None:
    assert judged(rule, the_groups(), an_optimizer()).state is State.NOT_APPLICABLE
    assert judged(rule, decayed(decayed_norms=(1.0, 0.5)), an_optimizer()).state is State.NOT_EXAMINED
