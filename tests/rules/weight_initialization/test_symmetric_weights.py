from collections.abc import Callable
from typing import Any

import pytest

from dnndoctor.changes import InsertBefore, Rewrite
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Layer, Layers, Optimizers, Parameter, Weights
from dnndoctor.rule import State
from dnndoctor.rules.weight_initialization.symmetric_weights import symmetric_weights
from tests.literals import an_optimizer
from tests.rules.said import changes, only

Make = Callable[..., Any]
ZERO: dict[str, Any] = {"constant": True, "identical_rows": True, "std": 0.0, "max_abs": 0.0}


def state(*pairs: tuple[Layer, Parameter]) -> State:
    return symmetric_weights.evaluate(measured(*pairs)).state


def measured(*pairs: tuple[Layer, Parameter]) -> dict[type, Any]:
    return {Layers: Layers("Net", tuple(a for a, _ in pairs)), Weights: Weights(tuple(b for _, b in pairs))}


def test_zero_weights(layer: Make, weight: Make) -> None:
    pairs = [(layer("layers.0"), weight("layers.0", **ZERO)), (layer("layers.2"), weight("layers.2", **ZERO))]
    [found] = symmetric_weights.evaluate(measured(*pairs)).findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 9)
    assert found.subject == "layers.0.weight"
    assert "all zero" in found.message
    assert "1 more" in found.message
    assert found.fix is not None
    assert found.fix.code == "nn.init.kaiming_normal_(model.layers[0].weight)"


def test_layers_on_lines_of_their_own_are_found_on_each(layer: Make, weight: Make) -> None:
    there = weight("b", location=Location("train.py", 10), **ZERO)
    found = symmetric_weights.evaluate(measured((layer("a"), weight("a", **ZERO)), (layer("b"), there))).findings
    assert [each.location.line for each in found if each.location] == [9, 10]


def test_constant_weights_are_named_with_their_value(layer: Make, weight: Make) -> None:
    [found] = symmetric_weights.evaluate(
        measured((layer("fc"), weight("fc", constant=True, mean=0.5, std=0.0)))
    ).findings
    assert "all 0.5" in found.message


def test_identical_rows(layer: Make, weight: Make) -> None:
    assert state((layer("fc"), weight("fc", identical_rows=True))) is State.FINDING
    assert (
        state((layer("rnn", kind="recurrent"), weight("rnn", identical_rows=True, kind="recurrent"))) is State.FINDING
    )


def test_random_weights_pass(layer: Make, weight: Make) -> None:
    assert state((layer("fc"), weight("fc"))) is State.PASS


@pytest.mark.parametrize("flag", ["residual", "gate", "output"])
def test_layers_that_may_start_at_zero(layer: Make, weight: Make, flag: str) -> None:
    assert state((layer("fc", **{flag: True}), weight("fc", **ZERO))) is State.PASS


@pytest.mark.parametrize("changes", [{"loaded": True}, {"parametrized": True}, {"trainable": False}])
def test_weights_that_are_left_out(layer: Make, weight: Make, changes: dict[str, Any]) -> None:
    assert state((layer("fc"), weight("fc", **(ZERO | changes)))) is State.PASS


def test_the_zero_end_of_one_branch_passes(layer: Make, weight: Make) -> None:
    end = (layer("localise", activation=None), weight("localise", **ZERO))
    other = (layer("fc", activation=None), weight("fc", **ZERO))
    assert state(end) is State.PASS
    assert state(end, other) is State.FINDING


def test_a_depthwise_mean_filter_passes(layer: Make, weight: Make) -> None:
    blur = weight("blur", shape=(64, 1, 3, 3), fan_in=9, identical_rows=True)
    assert state((layer("blur", kind="conv"), blur)) is State.PASS


@pytest.mark.parametrize("shape", [{"shape": (1, 64)}, {"fan_in": 1}])
def test_a_single_unit_or_input_is_not_applicable(layer: Make, weight: Make, shape: dict[str, Any]) -> None:
    assert state((layer("fc"), weight("fc", **(ZERO | shape)))) is State.NOT_APPLICABLE


def test_norm_layers_are_not_applicable(layer: Make, weight: Make) -> None:
    assert state((layer("norm", kind="norm"), weight("norm", kind="norm", **ZERO))) is State.NOT_APPLICABLE


def test_the_line_that_draws_them_draws_otherwise(layer: Make, weight: Make) -> None:
    there = Location("train.py", 30, 9)
    change = only(symmetric_weights.evaluate(measured((layer("a"), weight("a", initialized_at=there, **ZERO)))))
    assert isinstance(change, Rewrite)
    assert (change.at, change.template) == (there, 'torch.nn.init.kaiming_normal_({0}, nonlinearity="relu")')
    facts = {"initialized_at": there, "with_vectors": True} | ZERO
    change = only(symmetric_weights.evaluate(measured((layer("a"), weight("a", **facts)))))
    assert isinstance(change, Rewrite)
    assert change.template.endswith(" if {0}.dim() > 1 else {it}")


def test_else_they_are_drawn_anew_behind_the_model(layer: Make, weight: Make) -> None:
    pair = measured((layer("layers.0", activation="tanh"), weight("layers.0", **ZERO)))
    change = only(symmetric_weights.evaluate(pair | {Optimizers: an_optimizer()}))
    assert isinstance(change, InsertBefore)
    assert change.code == "torch.nn.init.xavier_uniform_(model.layers[0].weight)"
    assert changes(symmetric_weights.evaluate(pair | {Optimizers: an_optimizer("updates by hand")})) == ()
    assert changes(symmetric_weights.evaluate(pair)) == ()


def test_weights_that_were_not_seen_at_the_start_are_not_examined(layer: Make, weight: Make) -> None:
    assert state((layer("fc"), weight("fc", drawn=False, **ZERO))) is State.NOT_EXAMINED
