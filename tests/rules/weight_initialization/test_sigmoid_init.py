from collections.abc import Callable
from typing import Any

import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Activation, Activations, ActivationStatistics, Run
from dnndoctor.rule import State
from dnndoctor.rules.weight_initialization.sigmoid_init import sigmoid_init

Net = Callable[..., dict[type, Any]]
TARGET = 0.5  # 4 * sqrt(2 / (64 + 64))


def measured(net: Net, std: float, unit_std: float = 0.2, share: float = 0.0, **layer: Any) -> dict[type, Any]:
    step = ActivationStatistics(0, 0.5, 0.3, unit_std, 1.0, saturated_share=share)
    site = Activation("act", "sigmoid", Location("train.py", 12), "hidden", 64, "fc0", (step,))
    found = net([std, 0.1], [1.0, 1.0], layer={"activation": "sigmoid"} | layer)
    return found | {Activations: Activations((site,), 1.0)}


def test_outputs_that_hardly_vary(net: Net) -> None:
    [found] = sigmoid_init.evaluate(measured(net, 0.072, 0.02)).findings
    assert found.severity is Severity.INFO
    assert found.location == Location("train.py", 12)
    assert "std 0.072 where its sigmoid needs 0.5" in found.message
    assert "gain=4" in str(found.fix)


def test_outputs_that_are_stuck(net: Net) -> None:
    [found] = sigmoid_init.evaluate(measured(net, 1.0, 0.4, 0.6)).findings
    assert "60% of its outputs are saturated" in found.message


@pytest.mark.parametrize(
    ("std", "unit_std", "share", "expected"),
    [
        (0.072, 0.05, 0.0, State.PASS),
        (0.072, 0.049, 0.0, State.FINDING),
        (TARGET / 1.4, 0.01, 0.9, State.PASS),
        (TARGET * 1.4, 0.01, 0.9, State.PASS),
        (1.0, 0.01, 0.40, State.PASS),
        (1.0, 0.01, 0.41, State.FINDING),
    ],
)
def test_both_have_to_be_off(net: Net, std: float, unit_std: float, share: float, expected: State) -> None:
    assert sigmoid_init.evaluate(measured(net, std, unit_std, share)).state is expected


def test_weights_before_a_norm_and_loaded_ones(net: Net) -> None:
    assert sigmoid_init.evaluate(measured(net, 0.01, 0.01, normalized=True)).state is State.NOT_EXAMINED
    run = Run("cpu", None, 50, pretrained=True)
    assert sigmoid_init.evaluate(measured(net, 0.01, 0.01) | {Run: run}).state is State.NOT_APPLICABLE


def test_without_sigmoids_there_is_nothing_to_judge(net: Net) -> None:
    found = measured(net, 0.01) | {Activations: Activations(())}
    assert sigmoid_init.evaluate(found).state is State.NOT_APPLICABLE
