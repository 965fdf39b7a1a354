from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Layers, Parameter, Run, Weights
from dnndoctor.rule import State
from dnndoctor.rules.weight_initialization.large_bias import large_bias

Net = Callable[..., dict[type, Any]]


def measured(net: Net, *biases: tuple[float, float], signal: float = 0.5, **changes: Any) -> dict[type, Any]:
    """Mean and standard deviation of the biases of fc0, fc1, ...; the last layer is the output."""
    found = net([0.1] * len(biases), [signal] * len(biases), layer=changes)
    weights = found[Weights].parameters
    own: tuple[Parameter, ...] = tuple(
        replace(w, name=f"fc{i}.bias", shape=(64,), kind="bias", mean=mean, std=std, max_abs=abs(mean) + 1.7 * std)
        for i, (w, (mean, std)) in enumerate(zip(weights, biases, strict=True))
    )
    return found | {Weights: Weights((*weights, *own))}


def test_a_bias_that_decides_for_all_samples(net: Net) -> None:
    [found] = large_bias.evaluate(measured(net, (-0.7, 0.0), (0.0, 0.0))).findings
    assert found.severity is Severity.INFO
    assert found.subject == "fc0.bias"
    assert "start at 0.7, 1.4 times" in found.message


@pytest.mark.parametrize(("mean", "expected"), [(0.5, State.PASS), (0.51, State.FINDING)])
def test_from_where_on(net: Net, mean: float, expected: State) -> None:
    assert large_bias.evaluate(measured(net, (mean, 0.0), (0.0, 0.0))).state is expected


def test_pytorch_s_own_biases_are_sound_even_where_the_signal_has_faded(net: Net) -> None:
    assert large_bias.evaluate(measured(net, (0.0, 0.072), (0.0, 0.0), signal=1e-3)).state is State.PASS


def test_the_output_layer_may_start_at_the_base_rate(net: Net) -> None:
    assert large_bias.evaluate(measured(net, (0.0, 0.0), (-4.6, 0.0))).state is State.PASS


@pytest.mark.parametrize("change", [{"gate": True}, {"normalized": True}, {"kind": "recurrent"}])
def test_gates_norms_and_recurrent_layers_have_biases_of_their_own(net: Net, change: dict[str, Any]) -> None:
    found = measured(net, (1.0, 0.0), (0.0, 0.0))
    first, last = found[Layers].layers
    found[Layers] = Layers("Net", (replace(first, **change), last))
    assert large_bias.evaluate(found).state is State.NOT_APPLICABLE


def test_loaded_weights(net: Net) -> None:
    run = Run("cpu", None, 50, pretrained=True)
    assert large_bias.evaluate(measured(net, (-0.7, 0.0), (0.0, 0.0)) | {Run: run}).state is State.NOT_APPLICABLE


def test_an_unseen_signal_is_not_examined(net: Net) -> None:
    found = measured(net, (-0.7, 0.0), (0.0, 0.0))
    found[Layers] = Layers("Net", tuple(replace(each, unit_std=None) for each in found[Layers].layers))
    assert large_bias.evaluate(found).state is State.NOT_EXAMINED


@pytest.mark.parametrize(
    ("left", "severity"), [(0.0, Severity.WARNING), (0.004, Severity.WARNING), (0.006, Severity.INFO)]
)
def test_it_is_a_warning_where_nothing_of_the_signal_is_left(net: Net, left: float, severity: Severity) -> None:
    found = measured(net, (-4.0, 0.0), (0.0, 0.0))
    first, last = found[Layers].layers
    found[Layers] = Layers("Net", (first, replace(last, unit_std=left)))
    assert [each.severity for each in large_bias.evaluate(found).findings] == [severity]
