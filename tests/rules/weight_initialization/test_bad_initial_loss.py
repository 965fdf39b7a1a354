from math import log
from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Loss, Losses, Run, Steps
from dnndoctor.rule import Result, State
from dnndoctor.rules.weight_initialization.bad_initial_loss import bad_initial_loss

BLIND = log(10)


def judge(value: float, run: Run | None = None, **changes: Any) -> Result:
    given: dict[str, Any] = {
        "function": "cross_entropy",
        "location": Location("train.py", 30),
        "classes": 10,
        "best_constant": BLIND,
        "output_layer": "head",
        "output_location": Location("train.py", 8),
    }
    loss = Loss(value=value, **(given | changes))
    return bad_initial_loss.evaluate({Losses: Losses((loss,))} | ({Run: run} if run else {}))


@pytest.mark.parametrize(
    ("times", "severity"),
    [
        (1.11, Severity.INFO),
        (1.24, Severity.INFO),
        (1.26, Severity.WARNING),
        (1.99, Severity.WARNING),
        (2.01, Severity.ERROR),
    ],
)
def test_the_bands(times: float, severity: Severity) -> None:
    [found] = judge(BLIND * times).findings
    assert found.severity is severity
    assert found.location == Location("train.py", 8)
    assert found.fix is not None
    assert "model.head.weight" in str(found.fix.code)


@pytest.mark.parametrize("times", [0.5, 1.0, 1.025, 1.09])
def test_a_sound_start_passes(times: float) -> None:
    assert judge(BLIND * times).state is State.PASS


def test_sampling_error_is_taken_off() -> None:
    assert judge(BLIND * 1.15, spread=0.05).state is State.PASS
    assert judge(BLIND * 1.3, spread=0.05).findings[0].severity is Severity.INFO


def test_equal_probabilities_are_a_sound_start_for_unequal_classes() -> None:
    assert judge(log(2), classes=2, best_constant=0.2).state is State.PASS
    assert (
        judge(log(2), function="binary_cross_entropy_with_logits", classes=None, best_constant=0.2).state is State.PASS
    )


@pytest.mark.parametrize(("value", "state"), [(2.0, State.PASS), (2.1, State.FINDING)])
def test_regression_is_a_remark_at_most(value: float, state: State) -> None:
    result = judge(value, function="mse_loss", classes=None, best_constant=1.0, target_mean=152.0)
    assert result.state is state
    assert all(each.severity is Severity.INFO for each in result.findings)


def test_regression_asks_for_the_targets_mean() -> None:
    [found] = judge(9.0, function="mse_loss", classes=None, best_constant=1.0, target_mean=152.1).findings
    assert "constant_(model.head.bias, 152.1)" in str(found.fix)


@pytest.mark.parametrize(
    "changes",
    [{"terms": 2}, {"plain": False}, {"reduction": "sum"}, {"best_constant": None}],
)
def test_losses_with_more_in_them_are_not_applicable(changes: dict[str, Any]) -> None:
    assert judge(99.0, **changes).state is State.NOT_APPLICABLE


def test_constant_regression_targets_are_not_applicable() -> None:
    assert judge(9.0, function="mse_loss", best_constant=0.0).state is State.NOT_APPLICABLE


@pytest.mark.parametrize("changes", [{"pretrained": True}, {"family": "contrastive"}])
def test_loaded_weights_and_other_families_are_not_applicable(changes: dict[str, Any]) -> None:
    assert judge(99.0, Run("cpu", None, 9, **changes)).state is State.NOT_APPLICABLE


def test_a_loss_that_is_not_finite_is_another_rules_matter() -> None:
    assert judge(float("nan")).state is State.PASS


def test_several_losses_are_not_applicable() -> None:
    one = Loss("cross_entropy", None, 99.0, classes=10, best_constant=BLIND)
    assert bad_initial_loss.evaluate({Losses: Losses((one, one))}).state is State.NOT_APPLICABLE


def test_a_loss_that_is_down_again_within_a_few_steps_is_a_remark() -> None:
    loss = Losses((Loss("cross_entropy", None, 3 * BLIND, classes=10, best_constant=BLIND),))
    for after, severity in ((1.2, Severity.INFO), (3 * BLIND, Severity.ERROR)):
        [found] = bad_initial_loss.evaluate({Losses: loss, Steps: _steps([3 * BLIND] * 20 + [after] * 30)}).findings
        assert found.severity is severity


def _steps(losses: list[float]) -> Steps:
    zeros = np.zeros(len(losses))
    return Steps(np.arange(len(losses)), np.asarray(losses), zeros, zeros, zeros)


def test_scaled_cosines_are_not_applicable() -> None:
    assert judge(99.0, cosines=True).state is State.NOT_APPLICABLE
