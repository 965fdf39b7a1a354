from __future__ import annotations

from typing import Any

from dnndoctor.changes import MoveBehind, SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import FoundModel, TrainingLoop, Weights
from dnndoctor.rule import State
from dnndoctor.rules.learning_method.stale_parameters import stale_parameters as rule
from tests.literals import a_parameter, an_optimizer, judged, weights_of
from tests.rules.said import only, options


def model(**changes: Any) -> Weights:
    """A model that is trained and in no optimizer, and its like in the optimizer; the changes are of the latter."""
    old = {"received_gradient": False, "optimizer": 0} | changes
    return weights_of(
        a_parameter("fc.weight", optimizer=None),
        a_parameter("fc.bias", "bias", optimizer=None),
        a_parameter("old.weight", **old),
        a_parameter("old.bias", "bias", **old),
    )


def test_an_optimizer_of_another_model_is_found_at_its_line() -> None:
    [found] = judged(rule, model(), an_optimizer("Adam", 0.001)).findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 20)
    assert "steps on 2 parameters that no loss reaches" in found.message
    assert "built at train.py:7" in found.message


def test_gradients_anywhere_in_the_optimizer_are_sound() -> None:
    assert judged(rule, model(received_gradient=True), an_optimizer()).state is State.PASS


def test_experts_that_are_idle_are_sound() -> None:
    idle = weights_of(a_parameter("a.weight"), a_parameter("b.weight", received_gradient=False))
    assert judged(rule, idle, an_optimizer()).state is State.PASS


def test_the_other_model_has_to_be_of_its_kind() -> None:
    assert judged(rule, model(shape=(3, 3, 3)), an_optimizer()).state is State.PASS


def test_the_fewest_steps() -> None:
    assert judged(rule, model(effective_steps=3), an_optimizer()).state is State.FINDING
    assert judged(rule, model(effective_steps=2), an_optimizer()).state is State.NOT_EXAMINED


def test_without_an_optimizer() -> None:
    assert judged(rule, model(optimizer=None), an_optimizer()).state is State.NOT_APPLICABLE


def test_the_optimizer_is_given_the_model_that_is_trained() -> None:
    models = (FoundModel("model", "Net", 40, 0, prefix="fc"), FoundModel("old", "Net", 40, 40, prefix="old"))
    loop = TrainingLoop("supervised", "", models)
    first, second, third = options(only(judged(rule, model(), an_optimizer("Adam", 0.001), loop)))
    assert isinstance(first[0], SetArgument)
    assert first[0].value == "model.parameters()"
    assert second == (*first, *third)
    assert isinstance(third[0], MoveBehind)
    assert third[0].name == "model"
