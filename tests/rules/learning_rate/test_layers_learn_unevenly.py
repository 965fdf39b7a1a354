from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Optimizers
from dnndoctor.rule import State
from dnndoctor.rules.learning_rate.layers_learn_unevenly import layers_learn_unevenly as rule
from tests.literals import HERE, a_parameter, an_optimizer, judged, updates, weights_of

MODEL = weights_of(a_parameter("a.weight"), a_parameter("b.weight"))


@pytest.mark.parametrize(("slow", "state"), [(1e-3, State.PASS), (1.1e-4, State.PASS), (9e-5, State.FINDING)])
def test_the_threshold(slow: float, state: State) -> None:
    assert judged(rule, updates(a__weight=slow, b__weight=1e-2), MODEL, an_optimizer()).state is state


def test_the_slow_layer_is_named() -> None:
    [found] = judged(rule, updates(a__weight=1e-6, b__weight=1e-2), MODEL, an_optimizer()).findings
    assert found.severity is Severity.INFO
    assert (found.subject, found.location) == ("a.weight", HERE)
    assert "b.weight changes 10000 times faster" in found.message


def test_groups_with_rates_of_their_own_are_meant() -> None:
    grouped = Optimizers((replace(an_optimizer().main, learning_rates=(0.1, 0.001)),))
    assert judged(rule, updates(a__weight=1e-6, b__weight=1e-2), MODEL, grouped).state is State.NOT_APPLICABLE


def test_one_layer_is_compared_with_nothing() -> None:
    assert judged(rule, updates(a__weight=1e-6), MODEL, an_optimizer()).state is State.NOT_EXAMINED


def test_a_layer_that_stands_still_has_rules_of_its_own() -> None:
    assert judged(rule, updates(a__weight=0.0, b__weight=1e-2), MODEL, an_optimizer()).state is State.NOT_EXAMINED


@pytest.mark.parametrize("changes", [{"optimizer": 1}, {"trainable": False}, {"sparse": True}, {"kind": "embedding"}])
def test_what_another_optimizer_moves_and_what_moves_by_rows_is_not_compared(changes: dict[str, Any]) -> None:
    model = weights_of(a_parameter("a.weight", **changes), a_parameter("b.weight"), a_parameter("c.weight"))
    even = updates(a__weight=1e-7, b__weight=1e-2, c__weight=2e-2)
    assert judged(rule, even, model, an_optimizer()).state is State.PASS


def test_the_optimizer_with_most_steps_is_judged() -> None:
    aside = an_optimizer("Adam", 1e-3, steps=3).main
    both = Optimizers((aside, an_optimizer().main))
    model = weights_of(a_parameter("a.weight"), a_parameter("b.weight", optimizer=1), a_parameter("c.weight"))
    assert judged(rule, updates(a__weight=1e-7, b__weight=1e-2, c__weight=1e-2), model, both).state is (
        State.NOT_EXAMINED
    )
