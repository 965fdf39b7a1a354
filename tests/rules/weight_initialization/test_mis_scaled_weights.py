from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dnndoctor.changes import Rewrite
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Activation, Activations, ActivationStatistics, Layers, Run, Weights
from dnndoctor.rule import State
from dnndoctor.rules.weight_initialization.mis_scaled_weights import mis_scaled_weights
from tests.rules.said import only

Net = Callable[..., dict[type, Any]]
DEFAULT = 1 / (3 * 64) ** 0.5


def state(measured: dict[type, Any], **thresholds: Any) -> State:
    return mis_scaled_weights.evaluate(measured, thresholds).state


def saturated(share: float, function: str = "tanh", layer: str = "fc0") -> dict[type, Any]:
    step = ActivationStatistics(0, 0.0, 1.0, 0.9, 1.0, saturated_share=share)
    return {Activations: Activations((Activation("act", function, None, "hidden", 64, layer, (step,)),), 1.0)}


def test_standard_normal_weights(net: Net) -> None:
    [found] = mis_scaled_weights.evaluate(net([1.0, 1.0, 1.0], [8.0, 37.0, 210.0])).findings
    assert found.severity is Severity.WARNING
    assert found.location == Location("train.py", 9)
    assert found.subject == "fc2.weight"
    assert "worst of 3 on this line" in found.message
    assert found.evidence[0].expected == pytest.approx(1 / 8)
    assert found.evidence[1].value == pytest.approx(210)


def test_the_fix_has_the_layers_own_name_and_activation(net: Net) -> None:
    [found] = mis_scaled_weights.evaluate(net([1.0, 0.177], [11.0, 11.0])).findings
    assert found.fix is not None
    assert 'kaiming_normal_(model.fc0.weight, nonlinearity="relu")' in str(found.fix.code)
    tanh = net([1.0, 0.125], [8.0, 1.0], layer={"activation": "tanh"}) | saturated(0.74)
    assert "xavier_uniform_(model.fc0.weight)" in str(mis_scaled_weights.evaluate(tanh).findings[0].fix)


def test_layers_on_lines_of_their_own_are_found_on_each(net: Net, weight: Callable[..., Any]) -> None:
    measured = net([1.0, 1.0], [8.0, 40.0])
    other = weight("fc1", std=1.0, location=Location("train.py", 10))
    measured[Weights] = Weights((measured[Weights].parameters[0], other))
    found = mis_scaled_weights.evaluate(measured).findings
    assert [(each.subject, each.location) for each in found] == [
        ("fc0.weight", Location("train.py", 9)),
        ("fc1.weight", Location("train.py", 10)),
    ]


def test_a_signal_that_fades_after_a_strong_first_layer_counts(net: Net) -> None:
    assert state(net([DEFAULT, 0.01, 0.01, DEFAULT], [5.0, 0.4, 0.03, 0.02])) is State.FINDING


def test_small_weights_beside_a_skip_path_are_sound(net: Net) -> None:
    fading = [1.0, 0.09, 0.005, 0.001]
    assert state(net([DEFAULT, 0.02, 0.02, DEFAULT], fading, layer={"branch": True})) is State.PASS
    assert state(net([DEFAULT, 0.02, 0.02, DEFAULT], fading)) is State.FINDING


def test_overflow_is_an_error(net: Net) -> None:
    [found] = mis_scaled_weights.evaluate(net([1.0, 1.0, 1.0, 1.0], [8.0, 45.0, 260.0, 1500.0])).findings
    assert found.severity is Severity.ERROR


@pytest.mark.parametrize(("share", "expected"), [(0.40, State.PASS), (0.41, State.FINDING)])
def test_saturated_units_count_as_signal_off(net: Net, share: float, expected: State) -> None:
    assert state(net([1.0, 0.125], [8.0, 1.0], layer={"activation": "tanh"}) | saturated(share)) is expected


def test_saturated_units_with_sound_weights_have_another_cause(net: Net) -> None:
    assert state(net([0.125, 0.125], [8.0, 1.0], layer={"activation": "tanh"}) | saturated(0.9)) is State.PASS


def test_small_weights_in_a_deep_net(net: Net) -> None:
    [found] = mis_scaled_weights.evaluate(net([0.01] * 4, [0.08, 0.005, 3e-4, 2e-5])).findings
    assert found.severity is Severity.WARNING
    assert "too small" in found.message
    assert "worst of 3 on this line" in found.message  # a small output layer is sound


def test_a_lost_signal_is_an_error(net: Net) -> None:
    found = mis_scaled_weights.evaluate(net([0.001] * 4, [0.008, 5e-5, 3e-7, 2e-9])).findings
    assert [each.severity for each in found] == [Severity.ERROR]


def test_small_weights_in_a_shallow_net_train(net: Net) -> None:
    assert state(net([0.01, 0.01], [0.08, 0.005])) is State.PASS


@pytest.mark.parametrize(("signal", "expected"), [(0.011, State.PASS), (0.009, State.FINDING)])
def test_the_low_threshold(net: Net, signal: float, expected: State) -> None:
    assert state(net([0.02, 0.02, 0.177], [0.1, signal, 0.01])) is expected


@pytest.mark.parametrize(("signal", "expected"), [(10.0, State.PASS), (10.1, State.FINDING)])
def test_the_high_threshold(net: Net, signal: float, expected: State) -> None:
    assert state(net([1.0, 1.0], [5.0, signal])) is expected


def test_the_std_alone_is_no_fault(net: Net) -> None:
    assert state(net([1.0, 1.0], [2.0, 2.0])) is State.PASS


@pytest.mark.parametrize(("std", "expected"), [(0.52, State.PASS), (0.54, State.FINDING)])
def test_three_times_the_target(net: Net, std: float, expected: State) -> None:
    assert state(net([std, 0.125], [11.0, 11.0])) is expected


def test_the_signal_is_judged_against_the_input(net: Net) -> None:
    large_input = {Activations: Activations((), 100.0)}
    assert state(net([1.0, 1.0], [800.0, 900.0]) | large_input) is State.PASS


def test_default_initialisation_is_never_the_culprit(net: Net) -> None:
    assert state(net([DEFAULT] * 8, [0.5, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4])) is State.PASS
    assert (
        state(net([DEFAULT] * 2, [50.0, 50.0], layer={"activation": "sigmoid"}) | saturated(0.9, "sigmoid"))
        is State.PASS
    )


@pytest.mark.parametrize("std", [0.125, 0.5, 0.54])
def test_sigmoid_has_a_band(net: Net, std: float) -> None:
    assert (
        state(net([std, 0.125], [3.0, 1.0], layer={"activation": "sigmoid"}) | saturated(0.5, "sigmoid")) is State.PASS
    )


def test_standard_normal_before_sigmoid(net: Net) -> None:
    found = mis_scaled_weights.evaluate(
        net([1.0, 0.125], [8.0, 1.0], layer={"activation": "sigmoid"}) | saturated(0.6, "sigmoid")
    ).findings
    assert "gain=4" in str(found[0].fix)


@pytest.mark.parametrize("flag", ["normalized", "residual", "gate"])
def test_layers_whose_scale_does_not_matter(net: Net, flag: str) -> None:
    assert state(net([1.0, 0.125], [80.0, 1.0], layer={flag: True})) is State.PASS


@pytest.mark.parametrize(
    "changes",
    [
        {"loaded": True},
        {"parametrized": True},
        {"constant": True},
        {"trainable": False},
        {"kind": "embedding"},
        {"shape": (5, 6)},
    ],
)
def test_weights_that_are_left_out(net: Net, changes: dict[str, Any]) -> None:
    assert state(net([1.0, 1.0], [80.0, 80.0], weight=changes)) is State.PASS


def test_depthwise_and_tied_weights_are_left_out(net: Net) -> None:
    depthwise = net([1.0, 0.125], [80.0, 1.0], layer={"kind": "conv", "fan_in": 9}, weight={"shape": (64, 1, 3, 3)})
    assert state(depthwise) is State.PASS
    assert state(net([1.0, 0.125, 0.125], [80.0, 80.0, 1.0], layer={"weight": "fc0.weight"})) is State.PASS


def test_loaded_models_are_not_applicable(net: Net) -> None:
    assert state(net([1.0, 1.0], [80.0, 80.0]) | {Run: Run("cpu", None, 9, pretrained=True)}) is State.NOT_APPLICABLE


def test_an_unseen_signal_is_not_examined(net: Net) -> None:
    assert state(net([0.01, 0.01, 0.01], [0.0, 0.0, 0.0])) is State.NOT_EXAMINED


@pytest.mark.parametrize(
    ("activation", "signal", "expected"),
    [
        ("leaky_relu", 0.01, State.PASS),
        ("tanh", 0.01, State.FINDING),
        ("leaky_relu", 1e-3, State.FINDING),
    ],
)
def test_a_norm_behind_the_next_layer_takes_the_scale_out(
    net: Net, layer: Callable[..., Any], activation: str, signal: float, expected: State
) -> None:
    measured = net([0.001, DEFAULT, DEFAULT], [0.005, signal, 1.0])
    first = layer("fc0", activation=activation, unit_std=0.005)
    second = layer("fc1", normalized=True, unit_std=signal)
    measured[Layers] = Layers("Net", (first, second, measured[Layers].layers[2]))
    assert state(measured) is expected


def test_one_line_draws_all_of_them(net: Net) -> None:
    there = Location("train.py", 30, 9)
    change = only(mis_scaled_weights.evaluate(net([1.0] * 3, [8.0, 37.0, 210.0], weight={"initialized_at": there})))
    assert isinstance(change, Rewrite)
    assert change.at == there


def test_weights_that_were_not_seen_at_the_start_are_not_examined(net: Net) -> None:
    measured = net([1.0, 1.0, 1.0], [8.0, 37.0, 210.0])
    later = tuple(replace(each, drawn=False) for each in measured[Weights].parameters)
    assert state(measured | {Weights: Weights(later)}) is State.NOT_EXAMINED


def test_without_a_signal_through_the_layers_off_weights_are_not_examined(net: Net) -> None:
    unseen = net([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])
    assert state(unseen) is State.NOT_EXAMINED
    assert state(net([DEFAULT, DEFAULT, DEFAULT], [0.0, 0.0, 0.0])) is State.PASS
