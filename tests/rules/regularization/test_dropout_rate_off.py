from typing import Any

import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Wiring
from dnndoctor.rule import Result, State
from dnndoctor.rules.regularization.dropout_rate_off import dropout_rate_off
from tests.rules.regularization.dropouts import BUILT, dropout


def judge(**changes: Any) -> Result:
    return dropout_rate_off.evaluate({Wiring: Wiring(dropouts=(dropout(**changes),))})


def test_nine_of_ten_units_dropped() -> None:
    [found] = judge(p=0.9).findings
    assert found.severity is Severity.WARNING
    assert found.location == BUILT
    assert "drops 90% of the units of fc1" in found.message
    assert "p=0.1" in str(found.fix)


@pytest.mark.parametrize(("p", "severity"), [(0.69, None), (0.7, Severity.INFO), (0.8, Severity.WARNING)])
def test_from_where_on(p: float, severity: Severity | None) -> None:
    assert [each.severity for each in judge(p=p).findings] == ([severity] if severity else [])


def test_masking_of_the_input_is_no_dropout_of_units() -> None:
    assert judge(p=0.9, data=True, after=None).state is State.PASS


@pytest.mark.parametrize("changes", [{"active": False}, {"p": 0.0}, {"p": None}])
def test_a_dropout_that_does_not_act(changes: dict[str, Any]) -> None:
    assert judge(**changes).state is State.NOT_APPLICABLE


def test_masks_of_data_and_a_dropout_of_everything_are_meant() -> None:
    """A masked autoencoder hides three quarters of the picture; p=1 switches a branch off."""
    assert judge(p=0.75, data=True).state is State.PASS
    assert judge(p=1).state is State.PASS
