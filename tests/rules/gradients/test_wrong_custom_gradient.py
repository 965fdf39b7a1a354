from typing import Any

import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import CustomGradient, CustomGradients
from dnndoctor.rule import Result, State
from dnndoctor.rules.gradients.wrong_custom_gradient import wrong_custom_gradient

BACKWARD = Location("train.py", 13)


def judge(**facts: Any) -> Result:
    given = {"compared": 24, "sloped": 20, "wrong": 20, "ratio": 0.5, "spread": 0.0, "defined": BACKWARD}
    one = CustomGradient("Square", Location("train.py", 40), **{**given, **facts})
    return wrong_custom_gradient.evaluate({CustomGradients: CustomGradients((one,))})


def test_a_wrong_factor() -> None:
    [found] = judge().findings
    assert found.severity is Severity.ERROR
    assert found.location == BACKWARD
    assert found.subject == "Square"
    assert "20 of 20 entries: always 0.5 times" in found.message


@pytest.mark.parametrize(
    "facts",
    [
        {"wrong": 0},
        {"wrong": 3},
        {"identity": True, "ratio": -1.0},
        {"surrogate": 5},  # a quantiser whose step size has a gradient by definition
        {"sloped": 0, "wrong": 0},
        {"sloped": 3, "wrong": 3},
    ],
)
def test_right_reversed_and_straight_through(facts: dict[str, Any]) -> None:
    assert judge(**facts).state is State.PASS


def test_at_the_share() -> None:
    assert judge(wrong=4).state is State.FINDING


def test_not_applicable_and_not_examined() -> None:
    assert wrong_custom_gradient.evaluate({CustomGradients: CustomGradients(())}).state is State.NOT_APPLICABLE
    result = judge(missing="it failed in float64 with TypeError")
    assert result.state is State.NOT_EXAMINED
    assert "float64" in str(result.reason)
