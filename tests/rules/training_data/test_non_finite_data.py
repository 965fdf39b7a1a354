from __future__ import annotations

from typing import Any

import numpy as np

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import DataTensor, TrainingData
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_data.non_finite_data import non_finite_data

NONE = np.zeros(0)


def judge(*measured: Any, **thresholds: Any) -> Result:
    return non_finite_data.evaluate({type(each): each for each in measured}, thresholds)


def tensor(**changes: Any) -> DataTensor:
    given: dict[str, Any] = {
        "role": "input",
        "name": "argument 1 of Net",
        "location": Location("train.py", 12),
        "kind": "float",
        "shape": (32, 4),
        "samples": 64,
        "mean": 0.0,
        "std": 1.0,
        "low": -3.0,
        "high": 3.0,
        "feature_mean": NONE,
        "feature_std": NONE,
        "feature_distinct": NONE.astype(np.int64),
        "entries": 256,
    }
    return DataTensor(**(given | changes))


def test_nan_in_the_inputs_is_found() -> None:
    [found] = judge(TrainingData((tensor(non_finite=3, bad_samples=(4, 9), bad_step=2),))).findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 12)
    assert "3 of 256" in found.message
    assert "4, 9" in found.message
    assert found.fix is not None
    assert "isfinite(x)" in str(found.fix.code)


def test_targets_are_looked_at_too() -> None:
    [found] = judge(TrainingData((tensor(), tensor(role="target", name="target of mse_loss", non_finite=1)))).findings
    assert found.subject == "target of mse_loss"


def test_finite_data_pass() -> None:
    assert judge(TrainingData((tensor(),))).state is State.PASS


def test_one_entry_is_enough_and_the_share_can_be_set() -> None:
    data = TrainingData((tensor(non_finite=1),))
    assert judge(data).state is State.FINDING
    assert judge(data, allowed_share=1 / 256).state is State.PASS


def test_gaps_that_the_model_fills_are_sound() -> None:
    assert judge(TrainingData((tensor(non_finite=40, masked=True),))).state is State.PASS


def test_nothing_looked_at_is_not_examined() -> None:
    assert judge(TrainingData((tensor(entries=0),))).state is State.NOT_EXAMINED
