from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dnndoctor.changes import FirstOf, Rewrite, SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import (
    FoundModel,
    Group,
    Groups,
    Optimizer,
    OptimizerGroups,
    Optimizers,
    Run,
    TrainingLoop,
    Weights,
)
from dnndoctor.rule import Result, State
from dnndoctor.rules.learning_method.parameters_not_optimised import parameters_not_optimised
from tests.rules.said import changes, only, options

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


HERE = Location("train.py", 20)
OUT: dict[str, Any] = {"second": {"optimizer": None}}


def loop(*models: FoundModel) -> TrainingLoop:
    return TrainingLoop("supervised", "", models)


def test_the_whole_model_is_given_to_the_optimizer(weights: Make) -> None:
    net = FoundModel("net", "Net", 80, 40)
    [[given], _, _] = options(only(judge(weights(**OUT), ADAM, loop(net))))
    assert given == SetArgument("params", "net.parameters()", position=0, at=HERE, of=("Adam",), safety=given.safety)


def test_another_model_s_are_put_beside_what_it_holds(weights: Make) -> None:
    both = loop(FoundModel("encoder", "Encoder", 40, 0, prefix="fc2"), FoundModel("head", "Head", 40, 40, prefix="fc1"))
    change = only(judge(weights(**OUT), ADAM, both))
    assert isinstance(change, Rewrite)
    assert (change.template, change.argument) == ("[*{it}, *encoder.parameters()]", 0)


def test_what_another_optimizer_holds_as_well_is_replaced(weights: Make) -> None:
    names = ("fc1.weight", "fc1.bias")
    held = Groups(tuple(OptimizerGroups((Group(names, 40, 0.1, 0.0),), np.ones((1, 1))) for _ in range(2)))
    both = loop(FoundModel("encoder", "Encoder", 40, 0, prefix="fc2"), FoundModel("head", "Head", 40, 40, prefix="fc1"))
    assert isinstance(only(judge(weights(**OUT), ADAM, both, held)), FirstOf)


def test_without_the_model_s_name_it_is_left_to_a_person(weights: Make) -> None:
    assert changes(judge(weights(**OUT), ADAM, loop(FoundModel("Net", "Net", 80, 40)))) == ()
    assert changes(judge(weights(**OUT), ADAM)) == ()
