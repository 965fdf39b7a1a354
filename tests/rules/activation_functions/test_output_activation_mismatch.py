from typing import Any

import pytest

from dnndoctor.changes import Unwrap
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import LossInputs
from dnndoctor.rule import Result, State
from dnndoctor.rules.activation_functions.output_activation_mismatch import output_activation_mismatch
from tests.rules.loss.fed import chain, fed, inputs
from tests.rules.said import only


def judge(activation: str, low: float, high: float, function: str = "mse_loss", **facts: Any) -> Result:
    target = (low - 1, low - 0.5, low, (low + high) / 2, high, high + 0.5, high + 1)
    given = {"rows": 300, "target": target, "target_std": 1.0, "chain": chain(*activation.split(), "linear")}
    shape = facts.pop("shape", (32, 1))
    return output_activation_mismatch.evaluate({LossInputs: inputs(fed(function, shape, **{**given, **facts}))})


@pytest.mark.parametrize(("activation", "low", "high"), [("relu", -1.6, 1.6), ("sigmoid", 0, 25), ("tanh", -2, 0.5)])
def test_targets_out_of_reach(activation: str, low: float, high: float) -> None:
    [found] = judge(activation, low, high).findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 19)
    assert found.message.startswith(f"the {activation} at the output")


@pytest.mark.parametrize(
    ("activation", "low", "high"),
    [("relu", 0, 100), ("relu", -0.1, 5), ("sigmoid", 0, 1), ("tanh", -1, 1), ("tanh", -1.1, 1.1), ("softplus", 0, 9)],
)
def test_targets_in_reach_within_the_slack(activation: str, low: float, high: float) -> None:
    assert judge(activation, low, high).state is State.PASS


@pytest.mark.parametrize("between", ["mul sigmoid", "add tanh", "sub relu"])
def test_a_scaled_output_is_not_judged(between: str) -> None:
    assert judge(between, -50, 50).state is State.NOT_APPLICABLE


def test_relu_before_logits() -> None:
    assert judge("relu", 0, 1, "binary_cross_entropy_with_logits").state is State.FINDING
    assert judge("sigmoid", 0, 1, "binary_cross_entropy").state is State.PASS


def test_squashed_scores_under_cross_entropy() -> None:
    [found] = judge("sigmoid", 0, 9, "cross_entropy", shape=(32, 10)).findings
    assert "1.46" in found.message
    assert found.severity is Severity.ERROR
    assert judge("tanh", 0, 9, "cross_entropy", shape=(32, 10)).findings[0].severity is Severity.WARNING
    assert judge("relu", 0, 9, "cross_entropy", shape=(32, 10)).state is State.PASS


def test_too_few_targets() -> None:
    assert judge("relu", -5, 5, rows=31).state is State.NOT_EXAMINED


def test_the_activation_is_taken_away() -> None:
    change = only(judge("relu", -1.6, 1.6))
    assert isinstance(change, Unwrap)
    assert (change.at, change.of) == (Location("train.py", 19), ("relu", "ReLU"))
