from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import (
    Activations,
    Finiteness,
    Layer,
    Layers,
    Missing,
    NonFinite,
    Parameter,
    Signal,
    Signals,
    Steps,
    Weights,
)
from dnndoctor.rule import Result, State
from dnndoctor.rules.activation_functions.exploding_activations import exploding_activations


def layer(at: int, **changes: Any) -> Layer:
    place = Location("train.py", at)
    given = Layer(f"fc{at}", "linear", f"fc{at}.weight", place, 64, 64, 64, 64, "relu")
    return replace(given, **changes)


def judge(
    *sizes: float,
    largest: float = 50.0,
    source: float = 1.0,
    changes: dict[str, Any] | None = None,
    finite: Finiteness | None = None,
    weights: Weights | None = None,
    steps: Steps | None = None,
    at_first: float | None = None,
) -> Result:
    """Hidden layers fc0, fc1, ... of these sizes, the last one the output; ``changes`` are made to all but that."""
    last = len(sizes) - 1
    layers = [layer(at, **(changes or {})) for at in range(last)] + [layer(last, output=True)]
    spread = [np.array([at_first or size, size, size, size]) for size in sizes]
    signals = [Signal(f"fc{at}", np.arange(4), each, np.full(4, largest)) for at, each in enumerate(spread)]
    measured: dict[type, Any] = {
        Finiteness: finite or Finiteness(50),
        Steps: steps or Missing("none"),
        Weights: weights or Weights(()),
        Layers: Layers("Net", tuple(layers)),
        Signals: Signals(tuple(signals)),
        Activations: Activations((), source),
    }
    return exploding_activations.evaluate(measured)


def test_the_first_layer_that_grows_is_named() -> None:
    [found] = judge(1.0, 30.0, 900.0, 1.0).findings
    assert found.severity is Severity.WARNING
    assert found.location == Location("train.py", 1)
    assert "fc1 are 30 times what goes in" in found.message


@pytest.mark.parametrize(
    ("size", "expected"), [(10.0, State.PASS), (10.1, State.FINDING)], ids=["at the threshold", "above it"]
)
def test_growth_from_the_layer_before(size: float, expected: State) -> None:
    assert judge(1.0, size, 1.0).state is expected


def test_a_faint_signal_that_grows_back_is_sound() -> None:
    assert judge(0.01, 2.0, 1.0).state is State.PASS


def test_large_inputs_are_not_the_layer_s_doing() -> None:
    assert judge(300.0, 200.0, 1.0, source=400.0).state is State.PASS


def test_the_output_may_be_large() -> None:
    assert judge(1.0, 500.0).state is State.PASS


@pytest.mark.parametrize("changes", [{"gate": True}, {"normalized": True}])
def test_gates_and_layers_before_a_norm_may_be_large(changes: dict[str, Any]) -> None:
    assert judge(1.0, 500.0, 1.0, changes=changes).state in (State.PASS, State.NOT_APPLICABLE)


@pytest.mark.parametrize(("largest", "expected"), [(1e4, State.PASS), (1.1e4, State.FINDING)])
def test_close_to_the_largest_16_bit_float(largest: float, expected: State) -> None:
    assert judge(1.0, 2.0, 1.0, largest=largest).state is expected


def test_it_is_an_error_where_numbers_stop_being_finite() -> None:
    first = NonFinite(9, "forward", "linear", "fc2", "inf", None)
    [found] = judge(1.0, 30.0, 1.0, finite=Finiteness(9, first)).findings
    assert found.severity is Severity.ERROR


def test_steps_that_are_not_finite_say_nothing() -> None:
    assert judge(1.0, 2.0, 1.0, largest=float("inf")).state is State.NOT_EXAMINED


def test_without_hidden_layers_there_is_nothing_to_judge() -> None:
    assert judge(1.0).state is State.NOT_APPLICABLE


@pytest.mark.parametrize(("std", "expected"), [(0.125, State.FINDING), (1.0, State.PASS)])
def test_weights_that_start_too_large_have_a_rule_of_their_own(std: float, expected: State) -> None:
    weight = Parameter(
        "fc0.weight", "fc0", "Linear", (64, 64), "weight", 64, 64, trainable=True, std=std, max_abs=3 * std
    )
    assert judge(30.0, 30.0, weights=Weights((weight,))).state is expected


def test_where_the_loss_diverges_only_the_start_counts() -> None:
    loss = np.array([1.0, 30.0, 900.0, 2e4, 5e5])
    steps = Steps(np.arange(5), loss, np.ones(5), np.ones(5), np.ones(5))
    assert judge(30.0, 30.0, steps=steps).state is State.FINDING
    assert judge(1.0, 30.0, steps=steps, at_first=1.0).state is State.PASS
    assert judge(1.0, 30.0, 1.0, at_first=1.0).state is State.FINDING
