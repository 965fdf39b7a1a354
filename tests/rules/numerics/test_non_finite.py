from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import DataTensor, Finiteness, NonFinite, TrainingData
from dnndoctor.rule import Result, State
from dnndoctor.rules.numerics.non_finite import non_finite

NONE = np.zeros(0)


def judge(data: TrainingData | None = None, **changes: Any) -> Result:
    given: dict[str, Any] = {
        "step": 7,
        "phase": "forward",
        "operation": "log",
        "module": "decoder",
        "kind": "nan",
        "location": Location("train.py", 22),
    }
    found = Finiteness(20, NonFinite(**(given | changes)))
    return non_finite.evaluate({Finiteness: found} | ({TrainingData: data} if data else {}))


def test_the_operation_and_the_step_are_named() -> None:
    [found] = judge(input_low=-0.25, input_high=3.0).findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 22)
    assert found.subject == "decoder"
    assert found.message == (
        "NaN first appears in the forward pass of step 7, made by log in decoder from inputs between -0.25 and 3"
    )


@pytest.mark.parametrize(
    ("operation", "code"),
    [("log", "clamp_min"), ("truediv", "/ (y + 1e-8)"), ("rsqrt", "sqrt(x + 1e-8)"), ("linear", "clip_grad_norm_")],
)
def test_the_fix_suits_the_operation(operation: str, code: str) -> None:
    assert code in str(judge(operation=operation).findings[0].fix)


def test_what_grew_until_it_overflowed_asks_for_smaller_steps() -> None:
    [found] = judge(operation="exp", kind="inf", growing=True, loss_before=(3.0, 40.0, 9e8)).findings
    assert "grown steadily" in found.message
    assert found.fix is not None
    assert "learning rate" in found.fix.summary
    assert found.evidence[-1].value == 9e8


def test_finite_values_pass() -> None:
    assert non_finite.evaluate({Finiteness: Finiteness(20)}).state is State.PASS


def test_no_step_checked_is_not_examined() -> None:
    assert non_finite.evaluate({Finiteness: Finiteness(0)}).state is State.NOT_EXAMINED


def test_steps_that_a_scaler_skipped_pass() -> None:
    assert judge(phase="backward", kind="inf", scaler_skipped=True).state is State.PASS


@pytest.mark.parametrize(("bad", "state"), [(3, State.NOT_APPLICABLE), (0, State.FINDING)])
def test_values_that_came_in_with_the_data_are_reported_there(bad: int, state: State) -> None:
    one = DataTensor("input", "x", None, "float", (32, 4), 64, 0.0, 1.0, -3.0, 3.0, NONE, NONE, NONE.astype(np.int64))
    data = TrainingData((one, DataTensor(**({f: getattr(one, f) for f in one.__slots__} | {"non_finite": bad}))))
    assert judge(data, phase="data", operation="").state is state


def test_bad_data_that_no_other_rule_saw_is_reported() -> None:
    [found] = judge(phase="data", operation="").findings
    assert "came in with the batch of step 7" in found.message
