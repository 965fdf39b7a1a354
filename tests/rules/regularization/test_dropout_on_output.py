from typing import Any

import pytest

from dnndoctor.changes import Unwrap
from dnndoctor.findings import Severity
from dnndoctor.measurements import Run, Wiring
from dnndoctor.rule import Result, State
from dnndoctor.rules.regularization.dropout_on_output import dropout_on_output
from tests.rules.regularization.dropouts import CALLED, dropout
from tests.rules.said import only


def judge(**changes: Any) -> Result:
    return dropout_on_output.evaluate({Wiring: Wiring(dropouts=(dropout(), dropout(**changes)))})


def test_predictions_that_are_set_to_zero() -> None:
    [found] = judge(loss="cross_entropy", after="head", p=0.3).findings
    assert found.severity is Severity.WARNING
    assert found.location == CALLED
    assert "30% of the outputs of head to zero right before cross_entropy" in found.message


@pytest.mark.parametrize("changes", [{}, {"loss": "cross_entropy", "active": False}, {"loss": "mse_loss", "p": 0.0}])
def test_elsewhere_or_idle_it_is_sound(changes: dict[str, Any]) -> None:
    assert judge(**changes).state is State.PASS


def test_an_embedding_s_dropout_is_an_augmentation_in_contrastive_learning() -> None:
    measured = {
        Wiring: Wiring(dropouts=(dropout(loss="cross_entropy"),)),
        Run: Run("cpu", None, 50, family="contrastive"),
    }
    assert dropout_on_output.evaluate(measured).state is State.NOT_APPLICABLE


def test_without_dropout_there_is_nothing_to_judge() -> None:
    assert dropout_on_output.evaluate({Wiring: Wiring()}).state is State.NOT_APPLICABLE


def test_the_dropout_is_taken_away() -> None:
    assert only(judge(loss="cross_entropy", after="head", p=0.3)) == Unwrap()
