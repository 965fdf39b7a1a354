from typing import Any

from dnndoctor.findings import Severity
from dnndoctor.measurements import Wiring
from dnndoctor.rule import Result, State
from dnndoctor.rules.regularization.dropout_before_batchnorm import dropout_before_batchnorm
from tests.rules.regularization.dropouts import CALLED, dropout


def judge(**changes: Any) -> Result:
    return dropout_before_batchnorm.evaluate({Wiring: Wiring(dropouts=(dropout(**changes),))})


def test_a_norm_right_behind_a_dropout() -> None:
    [found] = judge(norm="bn1").findings
    assert found.severity is Severity.INFO
    assert found.location == CALLED
    assert "2 times what it meets there" in found.message


def test_any_other_order_is_sound() -> None:
    assert judge().state is State.PASS
    assert judge(norm="bn1", p=0.0).state is State.PASS


def test_a_dropout_that_does_not_act() -> None:
    assert judge(norm="bn1", active=False).state is State.NOT_APPLICABLE
