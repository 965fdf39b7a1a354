from typing import Any

import pytest

from dnndoctor.changes import Rename
from dnndoctor.findings import Severity
from dnndoctor.measurements import LossInputs
from dnndoctor.rule import Result, State
from dnndoctor.rules.loss.outliers_under_squared_error import outliers_under_squared_error
from tests.rules.loss.fed import BUILT, fed, inputs
from tests.rules.said import changes, options


def judge(function: str = "mse_loss", **facts: Any) -> Result:
    given: dict[str, Any] = {
        "rows": 800,
        "judged_rows": 400,
        "late_error": 9.0,
        "target_std": 3.0,
        "outliers_share_of_error": 0.8,
        "outlying": 0.02,
        "target": (-3.0, -2.0, -1.5, 0.0, 1.5, 2.0, 80.0),
    }
    return outliers_under_squared_error.evaluate({LossInputs: inputs(fed(function, (32,), **{**given, **facts}))})


def test_a_few_far_targets_make_the_loss() -> None:
    [found] = judge().findings
    assert found.severity is Severity.WARNING
    assert found.location == BUILT
    assert "80%" in found.message
    assert "reach 80" in found.message


@pytest.mark.parametrize(
    "facts",
    [
        {"outliers_share_of_error": 0.5},
        {"outlying": 0.06},
        {"late_error": 0.08},
        {"target_differentiable": True},
    ],
)
def test_at_a_threshold_or_spared(facts: dict[str, Any]) -> None:
    assert judge(**facts).state is State.PASS


def test_few_rows_and_other_losses() -> None:
    assert judge(judged_rows=199).state is State.NOT_EXAMINED
    assert judge("huber_loss").state is State.NOT_APPLICABLE


def test_the_loss_is_exchanged_unless_it_is_written_out() -> None:
    [loss] = changes(judge())
    assert options(loss)[1][0] == Rename("SmoothL1Loss", at=BUILT, of=("MSELoss",))
    assert changes(judge(by_hand=True)) == ()
