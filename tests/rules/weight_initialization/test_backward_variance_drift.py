from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Layers, Optimizer, Optimizers, Run, Signal, Signals, Weights
from dnndoctor.rule import State
from dnndoctor.rules.weight_initialization.backward_variance_drift import backward_variance_drift

Net = Callable[..., dict[type, Any]]
DEFAULT = 1 / (3 * 64) ** 0.5


def measured(net: Net, gradients: list[float], std: float = DEFAULT, **changes: Any) -> dict[type, Any]:
    """Layers with these gradients at their outputs, the last one the model's output."""
    found = net([std] * len(gradients), [1.0] * len(gradients), **changes)
    at = np.zeros(1, np.int64)
    signals = (Signal(f"fc{i}", at, np.ones(1), np.ones(1), grad_norm=g) for i, g in enumerate(gradients))
    return found | {Signals: Signals(tuple(signals))}


def with_optimizer(name: str) -> dict[type, Any]:
    return {Optimizers: Optimizers((Optimizer(name, None, (0.1,), 0.1),))}


def test_a_gradient_that_fades(net: Net) -> None:
    [found] = backward_variance_drift.evaluate(measured(net, [1e-5, 1e-3, 1e-2, 1e-1])).findings
    assert found.severity is Severity.WARNING
    assert found.subject == "fc0"
    assert "0.001 times that at fc2" in found.message


@pytest.mark.parametrize(("ratio", "expected"), [(0.01, State.PASS), (0.0099, State.FINDING), (101.0, State.FINDING)])
def test_from_where_on(net: Net, ratio: float, expected: State) -> None:
    assert backward_variance_drift.evaluate(measured(net, [ratio, 0.1, 1.0, 1.0])).state is expected


@pytest.mark.parametrize(
    ("name", "ratio", "expected"), [("SGD", 5e-3, Severity.WARNING), ("Adam", 5e-3, Severity.INFO)]
)
def test_an_adaptive_optimizer_makes_it_a_remark(net: Net, name: str, ratio: float, expected: Severity) -> None:
    found = measured(net, [ratio, 0.1, 1.0, 1.0]) | with_optimizer(name)
    assert [each.severity for each in backward_variance_drift.evaluate(found).findings] == [expected]


def test_weights_off_in_the_same_direction_have_a_rule_of_their_own(net: Net) -> None:
    assert backward_variance_drift.evaluate(measured(net, [1e-5, 1e-3, 1.0, 1.0], std=0.01)).state is State.PASS
    assert backward_variance_drift.evaluate(measured(net, [1e5, 1e3, 1.0, 1.0], std=0.9)).state is State.PASS


@pytest.mark.parametrize(
    "change",
    [{"normalized": True}, {"residual": True}, {"branch": True}, {"activation": "sigmoid"}, {"kind": "recurrent"}],
)
def test_what_carries_the_gradient_otherwise(net: Net, change: dict[str, Any]) -> None:
    found = measured(net, [1e-5, 1e-3, 1.0, 1.0])
    first, *others = found[Layers].layers
    # A recurrent layer is none of the hidden ones: it stands between them.
    middle = (replace(first, name="rnn", **change), first) if "kind" in change else (replace(first, **change),)
    found[Layers] = Layers("Net", (*middle, *others))
    assert backward_variance_drift.evaluate(found).state is State.NOT_APPLICABLE


def test_loaded_weights_and_short_nets(net: Net) -> None:
    run = Run("cpu", None, 50, pretrained=True)
    fading = measured(net, [1e-5, 1e-3, 1.0, 1.0])
    assert backward_variance_drift.evaluate(fading | {Run: run}).state is State.NOT_APPLICABLE
    assert backward_variance_drift.evaluate(measured(net, [1e-5, 1.0])).state is State.NOT_APPLICABLE


def test_an_unseen_gradient_is_not_examined(net: Net) -> None:
    unseen = measured(net, [float("nan"), 1.0, 1.0])
    assert backward_variance_drift.evaluate(unseen).state is State.NOT_EXAMINED
    del unseen[Weights]
    assert backward_variance_drift.evaluate(unseen).state is State.NOT_EXAMINED
