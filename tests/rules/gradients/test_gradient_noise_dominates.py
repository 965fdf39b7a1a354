from __future__ import annotations

from typing import Any

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Loaders, TrainingNoise
from dnndoctor.rule import Result, State
from dnndoctor.rules.gradients.gradient_noise_dominates import gradient_noise_dominates


def judge(**changes: Any) -> Result:
    given = {"batch_size": 16, "batches": 16, "scale": 400.0, "scale_low": 200.0, "scale_high": 900.0}
    noise = TrainingNoise(0.01, (1.0, 1.1), 0.1, **(given | changes))
    loaders = Loaders((), 16, 1000, batch_location=Location("train.py", 9))
    return gradient_noise_dominates.evaluate({TrainingNoise: noise, Loaders: loaders})


def test_a_small_batch_is_information() -> None:
    [found] = judge().findings
    assert found.severity is Severity.INFO
    assert found.location == Location("train.py", 9)
    assert "at least 200 samples, 12 times the batch of 16" in found.message


def test_the_lower_bound_decides() -> None:
    assert judge(scale_low=161.0).state is State.FINDING
    assert judge(scale_low=160.0).state is State.PASS


def test_without_a_scale_nothing_is_said() -> None:
    result = judge(scale=None, scale_low=None, scale_high=None, unscaled="every step takes the same samples")
    assert result.state is State.NOT_EXAMINED
    assert result.reason == "every step takes the same samples"


def test_where_nothing_is_learned_there_is_no_gradient_to_compare_with() -> None:
    assert judge(scale=float("inf"), scale_low=float("inf")).state is State.NOT_EXAMINED
