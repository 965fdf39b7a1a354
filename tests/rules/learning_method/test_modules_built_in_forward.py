from typing import Any

import pytest

from dnndoctor.changes import Hoist, Safety
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import BuiltInForward, Construction
from dnndoctor.rule import Result, State
from dnndoctor.rules.learning_method.modules_built_in_forward import modules_built_in_forward
from tests.rules.said import only


def judge(**changes: Any) -> Result:
    given: dict[str, Any] = {
        "layer": "Linear",
        "holder": "Net",
        "location": Location("train.py", 15, 13),
        "parameters": 650,
        "kinds": ("Linear",),
        "steps": 50,
        "times": 50,
    }
    found = Construction(built_in_forward=(BuiltInForward(**(given | changes)),))
    return modules_built_in_forward.evaluate({Construction: found})


def test_a_layer_that_is_built_in_each_pass() -> None:
    [found] = judge().findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 15, 13)
    assert "a new Linear with 650 weights" in found.message
    assert "50 steps" in found.message


@pytest.mark.parametrize(("steps", "expected"), [(1, State.PASS), (2, State.FINDING)])
def test_what_is_built_at_the_first_pass_is_kept(steps: int, expected: State) -> None:
    assert judge(steps=steps).state is expected


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [(("LayerNorm",), Severity.WARNING), (("LayerNorm", "Linear"), Severity.ERROR), (("BatchNorm1d",), Severity.ERROR)],
)
def test_a_norm_of_single_samples_still_normalises(kinds: tuple[str, ...], expected: Severity) -> None:
    [found] = judge(kinds=kinds).findings
    assert found.severity is expected


def test_without_a_watched_pass_it_is_not_examined() -> None:
    assert modules_built_in_forward.evaluate({}).state is State.NOT_EXAMINED


def test_the_layer_is_built_once() -> None:
    assert only(judge(arguments="32, 32")) == Hoist("linear", "32, 32", of=("Linear",), safety=Safety.SAFE)
