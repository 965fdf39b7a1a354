from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Optimizer, Optimizers, Run, Weights
from dnndoctor.rule import Result, State
from dnndoctor.rules.learning_method.parameters_not_optimised import parameters_not_optimised

Make = Callable[..., Weights]
ADAM = Optimizers((Optimizer("Adam", Location("train.py", 20), (0.001,), 0.001, steps=50),))


def judge(*measured: Any, **thresholds: Any) -> Result:
    return parameters_not_optimised.evaluate({type(each): each for each in measured}, thresholds)


def test_parameters_left_out_are_found_together(weights: Make) -> None:
    [found] = judge(weights(second={"optimizer": None}), ADAM).findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 20)
    assert "2 parameters with 40 entries" in found.message
    assert "fc2.weight, fc2.bias (built at train.py:6)" in found.message
    assert found.fix is not None
    assert found.fix.code == "optimizer = torch.optim.Adam(model.parameters(), lr=0.001)"


def test_without_the_optimizer_s_place_the_module_s_is_named(weights: Make) -> None:
    nowhere = Optimizers((Optimizer("Adam", None, (0.001,), 0.001),))
    [found] = judge(weights(second={"optimizer": None}), nowhere).findings
    assert found.location == Location("train.py", 6)


def test_everything_in_the_optimizer_passes(weights: Make) -> None:
    assert judge(weights(), ADAM).state is State.PASS


def test_a_second_optimizer_counts(weights: Make) -> None:
    assert judge(weights(second={"optimizer": 1}), ADAM).state is State.PASS


@pytest.mark.parametrize("sound", [{"trainable": False}, {"used": False}, {"received_gradient": False}])
def test_what_is_frozen_or_not_reached_is_sound(weights: Make, sound: dict[str, Any]) -> None:
    assert judge(weights(second={"optimizer": None} | sound), ADAM).state is State.PASS


def test_loaded_weights_left_out_are_information(weights: Make) -> None:
    [found] = judge(weights(first={"optimizer": None, "loaded": True}), ADAM).findings
    assert found.severity is Severity.INFO
    assert found.fix is not None
    assert "requires_grad_(False)" in str(found.fix.code)


def test_the_number_tolerated_at_the_threshold(weights: Make) -> None:
    left_out = weights(second={"optimizer": None})
    assert judge(left_out, ADAM, tolerated=1).state is State.FINDING
    assert judge(left_out, ADAM, tolerated=2).state is State.PASS


TWO = Optimizers(
    tuple(Optimizer("Adam", Location("train.py", line), (0.001,), 0.001, steps=n) for line, n in ((20, 50), (21, 9)))
)


def test_the_optimizer_that_stepped_on_their_gradient_is_named(weights: Make) -> None:
    [found] = judge(weights(second={"optimizer": None, "stepped_next": 1}), TWO).findings
    assert found.location == Location("train.py", 21)


def test_the_one_that_holds_the_rest_of_the_branch_comes_first(weights: Make) -> None:
    layers = weights(second={"optimizer": None, "stepped_next": 1, "module": "fc1.extra"})
    [found] = judge(layers, TWO).findings
    assert found.location == Location("train.py", 20)


def test_one_that_was_built_anew_is_named_at_its_own_line(weights: Make) -> None:
    late = Location("train.py", 47)
    [found] = judge(weights(second={"optimizer": None, "stepped_next": 0, "stepped_next_at": late}), TWO).findings
    assert found.location == late


IDLE = {"optimizer": None, "idle_optimizer_at": Location("train.py", 21)}


def test_an_optimizer_that_holds_them_and_never_steps_is_named(weights: Make) -> None:
    [found] = judge(weights(second=IDLE), ADAM).findings
    assert found.location == Location("train.py", 21)
    assert found.message.startswith("the optimizer of 2 parameters with 40 entries never steps")


@pytest.mark.parametrize("steps", [29, 30])
def test_an_optimizer_may_take_its_time(steps: int, weights: Make) -> None:
    adam = Optimizers((Optimizer("Adam", Location("train.py", 20), (0.001,), 0.001, steps=steps),))
    assert bool(judge(weights(second=IDLE), adam).findings) is (steps == 30)


def test_adversarial_networks_take_turns(weights: Make) -> None:
    assert judge(weights(second=IDLE), ADAM, Run("cpu", None, 50, family="gan")).state is State.PASS
