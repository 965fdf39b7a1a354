from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Gradients, Layers, Run, Weights
from dnndoctor.rule import State
from dnndoctor.rules.gradients.vanishing_gradient import vanishing_gradient

Make = Callable[..., Any]


def test_nearly_nothing_reaches_the_first_layer(net: Make, gradients: Make) -> None:
    measured = net(5) | {Gradients: gradients([1e-8, 1e-6, 1e-4, 1e-3, 1e-2])}
    [found] = vanishing_gradient.evaluate(measured).findings
    assert found.severity is Severity.WARNING
    assert found.location == Location("train.py", 1)
    assert found.subject == "fc0.weight"
    assert "0.0001 times" in found.message
    assert found.fix is not None
    assert "model.fc0.weight" in str(found.fix.code)


@pytest.mark.parametrize(("first", "state"), [(1.1e-3, State.PASS), (0.9e-3, State.FINDING)])
def test_the_threshold_is_relative(net: Make, gradients: Make, first: float, state: State) -> None:
    for scale in (1.0, 1e-9, 65536.0):
        measured = net(3) | {Gradients: gradients([first * scale, scale, scale])}
        assert vanishing_gradient.evaluate(measured).state is state


def test_exactly_nothing_is_an_error(net: Make, gradients: Make) -> None:
    [found] = vanishing_gradient.evaluate(net(3) | {Gradients: gradients([0.0, 1.0, 1.0])}).findings
    assert found.severity is Severity.ERROR
    assert found.message.startswith("no gradient")


def test_one_odd_step_does_not_count(net: Make, gradients: Make) -> None:
    measured = net(3) | {Gradients: gradients([[1e-9, 1, 1, 1, 1, 1], 1.0, 1.0])}
    assert vanishing_gradient.evaluate(measured).state is State.PASS


def test_only_early_steps_count(net: Make, gradients: Make) -> None:
    steps = 40
    given = gradients([1.0, 1.0, 1.0])
    rms = np.where(np.arange(steps) < 5, 1.0, 1e-9)
    late = replace(given.by_parameter[0], rms=rms)
    others = tuple(replace(each, rms=np.ones(steps)) for each in given.by_parameter[1:])
    measured = net(3) | {Gradients: replace(given, by_parameter=(late, *others))}
    assert vanishing_gradient.evaluate(measured).state is State.PASS


@pytest.mark.parametrize("changes", [{"trainable": False}, {"sparse": True}])
def test_frozen_and_sparse_first_layers_are_skipped(net: Make, gradients: Make, changes: dict[str, Any]) -> None:
    measured = net(4, weight=changes) | {Gradients: gradients([1e-9, 1.0, 1.0, 1.0])}
    assert vanishing_gradient.evaluate(measured).state is State.PASS


def test_a_first_layer_that_the_graph_does_not_reach_is_another_rules_matter(net: Make, gradients: Make) -> None:
    measured = net(4) | {Gradients: gradients([np.nan, 1.0, 1.0, 1.0])}
    assert vanishing_gradient.evaluate(measured).state is State.PASS


def test_gates_are_skipped(net: Make, gradients: Make) -> None:
    assert vanishing_gradient.evaluate(net(4, gate=True) | {Gradients: gradients([1e-9, 1, 1, 1])}).state is State.PASS


def test_residual_branches_that_start_at_zero_are_not_applicable(net: Make, gradients: Make) -> None:
    measured = net(3, weight={"max_abs": 0.0}, residual=True) | {Gradients: gradients([1e-9, 1.0, 1.0])}
    assert vanishing_gradient.evaluate(measured).state is State.NOT_APPLICABLE


def test_two_layers_are_too_few(net: Make, gradients: Make) -> None:
    result = vanishing_gradient.evaluate(net(2) | {Gradients: gradients([1e-9, 1.0])})
    assert result.state is State.NOT_APPLICABLE


def test_a_zero_head_holds_the_gradient_back_for_one_step_only(net: Make, gradients: Make) -> None:
    measured = net(3) | {Gradients: gradients([[0, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1], 1.0])}
    assert vanishing_gradient.evaluate(measured).state is State.PASS


def test_no_gradient_anywhere_is_not_examined(net: Make, gradients: Make) -> None:
    assert vanishing_gradient.evaluate(net(3) | {Gradients: gradients([0.0, 0.0, 0.0])}).state is State.NOT_EXAMINED


def test_reinforcement_learning_is_not_applicable(net: Make, gradients: Make) -> None:
    measured = net(3) | {Gradients: gradients([0.0, 1.0, 1.0]), Run: Run("cpu", None, 9, family="reinforcement")}
    assert vanishing_gradient.evaluate(measured).state is State.NOT_APPLICABLE


def test_the_needs_are_the_gradients_and_the_net() -> None:
    assert {each.kind for each in vanishing_gradient.needs if not each.optional} == {Gradients, Layers, Weights}


def test_only_a_residual_branch_may_start_at_zero(net: Make, gradients: Make) -> None:
    rms = {Gradients: gradients([1e-9, 1.0, 1.0])}
    assert vanishing_gradient.evaluate(net(3, residual=True) | rms).state is State.FINDING
    assert vanishing_gradient.evaluate(net(3, weight={"max_abs": 0.0}) | rms).state is State.FINDING
