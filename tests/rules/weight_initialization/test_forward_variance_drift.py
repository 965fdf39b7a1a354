from collections.abc import Callable
from typing import Any

import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Optimizer, Optimizers, Run
from dnndoctor.rule import State
from dnndoctor.rules.weight_initialization.forward_variance_drift import forward_variance_drift

Net = Callable[..., dict[type, Any]]


def judge(net: Net, signal: list[float], *, optimizer: str = "SGD", **layer: Any) -> Any:
    by = {Optimizers: Optimizers((Optimizer(optimizer, None, (0.1,), 0.1),))}
    return forward_variance_drift.evaluate(net([0.1] * (len(signal) + 1), [*signal, 0.1], layer=layer or None) | by)


def test_a_fading_signal(net: Net) -> None:
    [found] = judge(net, [0.34, 0.1, 0.04, 0.015, 0.005, 0.002]).findings
    assert found.severity is Severity.WARNING
    assert found.subject == "fc5"
    assert "0.0059" in found.message
    assert found.fix is not None
    assert "kaiming_normal_(model.fc5.weight)" in str(found.fix.code)


@pytest.mark.parametrize(("last", "state"), [(0.0101, State.PASS), (0.0099, State.FINDING)])
def test_the_threshold_of_the_fall(net: Net, last: float, state: State) -> None:
    assert judge(net, [1.0, 0.3, 0.1, last]).state is state


@pytest.mark.parametrize(("last", "state"), [(10.0, State.PASS), (10.1, State.FINDING)])
def test_the_threshold_of_the_growth(net: Net, last: float, state: State) -> None:
    assert judge(net, [1.0, 3.0, last]).state is state


@pytest.mark.parametrize(
    ("optimizer", "last", "severity"),
    [("AdamW", 0.005, Severity.INFO), ("AdamW", 0.0009, Severity.WARNING), ("SGD", 0.005, Severity.WARNING)],
)
def test_adaptive_optimizers_bear_more(net: Net, optimizer: str, last: float, severity: Severity) -> None:
    [found] = judge(net, [1.0, 0.1, last], optimizer=optimizer).findings
    assert found.severity is severity


def test_weights_off_their_scale_are_another_rules_matter(net: Net) -> None:
    small, large = net([0.01] * 4, [1.0, 0.05, 1e-3, 0.1]), net([1.0] * 4, [1.0, 6.0, 36.0, 0.1])
    assert forward_variance_drift.evaluate(small).state is State.PASS
    assert forward_variance_drift.evaluate(large).state is State.PASS
    fading_all_the_same = net([1.0] * 4, [1.0, 0.05, 1e-3, 0.1])
    assert forward_variance_drift.evaluate(fading_all_the_same).state is State.FINDING


def test_hidden_sigmoids_are_not_applicable(net: Net) -> None:
    assert judge(net, [1.0, 0.1, 1e-3], activation="sigmoid").state is State.NOT_APPLICABLE


def test_a_tanh_after_a_large_sum_is_no_growth(net: Net) -> None:
    assert judge(net, [8.0, 11.0], activation="tanh").state is State.PASS


def test_he_initialisation_at_depth_twenty_passes(net: Net) -> None:
    assert judge(net, [0.825 * 0.915**at for at in range(20)]).state is State.PASS


def test_default_initialisation_at_depth_five_passes(net: Net) -> None:
    assert judge(net, [0.338, 0.12, 0.041, 0.015, 0.0051]).state is State.PASS


def test_a_bounded_activation_that_cuts_a_large_input_is_no_fading(net: Net) -> None:
    assert judge(net, [100.0, 0.5, 0.3], activation="tanh").state is State.PASS
    assert judge(net, [100.0, 0.5, 0.3], activation="relu").state is State.FINDING


@pytest.mark.parametrize("flag", ["normalized", "residual"])
def test_norm_layers_and_skips_are_not_applicable(net: Net, flag: str) -> None:
    assert (
        forward_variance_drift.evaluate(net([0.1] * 3, [1.0, 1e-4, 0.1], layer={flag: True})).state
        is State.NOT_APPLICABLE
    )


def test_one_hidden_layer_is_not_applicable(net: Net) -> None:
    assert judge(net, [1.0]).state is State.NOT_APPLICABLE


def test_loaded_weights_are_not_applicable(net: Net) -> None:
    measured = net([0.1] * 3, [1.0, 1e-4, 1.0]) | {Run: Run("cpu", None, 9, pretrained=True)}
    assert forward_variance_drift.evaluate(measured).state is State.NOT_APPLICABLE


@pytest.mark.parametrize("first", [0.0, None])
def test_an_unseen_signal_is_not_examined(net: Net, first: float | None) -> None:
    assert judge(net, [first, 0.1]).state is State.NOT_EXAMINED  # type: ignore[list-item]
