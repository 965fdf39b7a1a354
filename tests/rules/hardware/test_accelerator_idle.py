from __future__ import annotations

from typing import Any

import numpy as np

from dnndoctor.changes import InsertBefore, Rewrite
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import (
    DataTensor,
    LossInput,
    LossInputs,
    Mode,
    Modes,
    Optimizer,
    Optimizers,
    Run,
    TrainingData,
)
from dnndoctor.rule import Result, State
from dnndoctor.rules.hardware.accelerator_idle import accelerator_idle
from tests.rules.said import changes

H100 = "NVIDIA H100"


def judge(*measured: Any, **thresholds: Any) -> Result:
    return accelerator_idle.evaluate({type(each): each for each in measured}, thresholds)


def test_an_idle_accelerator_is_found() -> None:
    adam = Optimizers((Optimizer("Adam", Location("train.py", 20), (0.001,), 0.001),))
    [found] = judge(Run("cpu", H100, 50, models=("Net",), parameters=2_000_000), adam).findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 20)
    assert "2000000 parameters are trained on the CPU while NVIDIA H100 is idle" in found.message
    assert found.fix is not None
    assert ".to(device)" in str(found.fix.code)


def test_an_accelerator_in_use_passes() -> None:
    assert judge(Run("cuda", H100, 50, parameters=2_000_000)).state is State.PASS
    assert judge(Run("cuda", H100, 50, parameters=10)).state is State.PASS


def test_a_machine_without_one_is_not_judged() -> None:
    assert judge(Run("cpu", None, 50, parameters=2_000_000)).state is State.NOT_APPLICABLE


def test_parameters_at_the_threshold() -> None:
    assert judge(Run("cpu", H100, 50, parameters=99_999)).state is State.NOT_APPLICABLE
    assert judge(Run("cpu", H100, 50, parameters=100_000)).state is State.FINDING


def test_model_inputs_and_targets_are_moved() -> None:
    built, call, loss = (Location("train.py", line, 5) for line in (20, 30, 31))
    none = np.zeros(0)
    given = DataTensor(
        "input", "argument 1 of Net", built, "float", (8, 4), 8, 0, 1, 0, 1, none, none, none.astype(np.int64)
    )
    measured = (
        Run("cpu", H100, 50, models=("Net",), parameters=2_000_000),
        Optimizers((Optimizer("Adam", built, (0.001,), 0.001),)),
        Modes((Mode("Net", "training", 9, True, call), Mode("Net", "training", 9, True, call)), False),
        LossInputs((LossInput("cross_entropy", loss, (8, 3), (8,)),)),
    )
    assert changes(judge(*measured, TrainingData((given,)))) == (
        InsertBefore('model.to("cuda")', at=built),
        Rewrite('{it}.to("cuda")', argument=0, at=call),
        Rewrite('{it}.to("cuda")', argument=1, at=loss),
    )
    assert changes(judge(*measured, TrainingData((given, given)))) == ()


def test_without_a_known_device_it_is_not_examined() -> None:
    assert judge(Run("", H100, 50, parameters=2_000_000)).state is State.NOT_EXAMINED
