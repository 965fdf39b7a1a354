from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Activation, Activations, Layer, Layers, Parameter, Weights
from dnndoctor.rule import Result, State
from dnndoctor.rules.activation_functions.collapsed_activations import collapsed_activations

Site = Callable[..., Activation]


def judge(
    *sites: Activation, input_unit_std: float | None = 1.0, layers: Layers | None = None, **thresholds: Any
) -> Result:
    measured: dict[type, Any] = {Activations: Activations(sites, input_unit_std)}
    return collapsed_activations.evaluate(measured | ({Layers: layers} if layers else {}), thresholds)


def test_the_first_collapsed_layer_is_named(site: Site) -> None:
    sites = [
        site("tanh", line=at, layer=f"fc{at}", std=0.02, unit_std=std) for at, std in enumerate((0.02, 1e-6, 1e-9))
    ]
    [found] = judge(*sites).findings
    assert found.severity is Severity.ERROR
    assert found.subject == "fc1"
    assert "1e-06" in found.message
    assert found.evidence[-1].value == 2


@pytest.mark.parametrize(("unit_std", "state"), [(0.002, State.PASS), (0.0011, State.PASS), (0.001, State.FINDING)])
def test_the_threshold(site: Site, unit_std: float, state: State) -> None:
    assert judge(site("tanh", unit_std=unit_std)).state is state


def test_the_threshold_can_be_set(site: Site) -> None:
    assert judge(site("tanh", unit_std=0.05), spread=0.1).state is State.FINDING


def test_all_zero_outputs_have_collapsed(site: Site) -> None:
    assert judge(site("tanh", std=0.0, unit_std=0.0)).state is State.FINDING


def test_all_zero_weights_are_another_rules_matter(site: Site, layer: Callable[..., Layer]) -> None:
    weight = Parameter("fc.weight", "fc", "Linear", (64, 64), "weight", 64, 64, True, max_abs=0.0)
    measured = {
        Activations: Activations((site("tanh", layer="fc", std=0.0, unit_std=0.0),), 1.0),
        Layers: Layers("Net", (layer("fc"),)),
    }
    assert collapsed_activations.evaluate(measured | {Weights: Weights((weight,))}).state is State.PASS
    sound = Weights((replace(weight, max_abs=0.3),))
    assert collapsed_activations.evaluate(measured | {Weights: sound}).state is State.FINDING


def test_one_odd_batch_is_not_enough(site: Site) -> None:
    assert judge(site("tanh", unit_std=[0.5, 0.5, 0.5, 0.5, 0.5, 0.0])).state is State.PASS


def test_a_branch_that_starts_as_a_constant_and_wakes_passes(site: Site) -> None:
    assert judge(site("tanh", unit_std=[0.0, 0.0, 0.1, 0.2, 0.3, 0.4])).state is State.PASS


def test_the_median_relu_may_be_silent(site: Site) -> None:
    assert judge(site("relu", unit_std=0.0, zero_share=0.5)).state is State.PASS
    assert judge(site("relu", unit_std=0.0, zero_share=0.4)).state is State.FINDING


def test_equal_inputs_and_single_samples_are_not_applicable(site: Site) -> None:
    assert judge(site("tanh", unit_std=0.0), input_unit_std=0.0).state is State.NOT_APPLICABLE
    assert judge(site("tanh", unit_std=0.0), input_unit_std=None).state is State.NOT_APPLICABLE


def test_sparse_inputs_differ_though_their_median_feature_does_not(site: Site, layer: Callable[..., Layer]) -> None:
    layers = Layers("Net", (layer("fc0", unit_std=0.3),))
    assert judge(site("tanh", unit_std=0.0), input_unit_std=0.0, layers=layers).state is State.FINDING


@pytest.mark.parametrize(("function", "role"), [("softmax", "hidden"), ("tanh", "gate"), ("tanh", "output")])
def test_attention_gates_and_outputs_are_left_out(site: Site, function: str, role: str) -> None:
    assert judge(site(function, role=role, unit_std=0.0)).state is State.NOT_APPLICABLE


def test_one_step_is_too_little(site: Site) -> None:
    assert judge(site("tanh", unit_std=[0.0])).state is State.NOT_EXAMINED
