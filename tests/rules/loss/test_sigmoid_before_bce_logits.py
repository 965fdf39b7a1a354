import pytest

from dnndoctor.changes import Unwrap
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Loss, Losses
from dnndoctor.rule import Result, State
from dnndoctor.rules.loss.sigmoid_before_bce_logits import sigmoid_before_bce_logits
from tests.rules.loss.fed import CALL, chain
from tests.rules.said import changes, only


def judge(*names: str, function: str = "binary_cross_entropy_with_logits") -> Result:
    loss = Loss(function, CALL, 0.7, chain(*names))
    return sigmoid_before_bce_logits.evaluate({Losses: Losses((loss,))})


@pytest.mark.parametrize("names", [("sigmoid", "linear"), ("dropout", "sigmoid"), ("softmax", "linear")])
def test_a_squashed_score_before_the_loss(names: tuple[str, ...]) -> None:
    [found] = judge(*names).findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 19 if names[0] != "dropout" else 18)
    assert "0.731" in found.message


@pytest.mark.parametrize("names", [("linear",), ("linear", "sigmoid"), ("mul", "sigmoid"), ()])
def test_raw_scores_and_gates_pass(names: tuple[str, ...]) -> None:
    assert judge(*names).state is State.PASS


def test_other_losses_are_not_judged() -> None:
    assert judge("sigmoid", function="binary_cross_entropy").state is State.NOT_APPLICABLE


def test_the_sigmoid_is_taken_away() -> None:
    change = only(judge("dropout", "sigmoid", "linear"))
    assert isinstance(change, Unwrap)
    assert change.at == Location("train.py", 18)
    assert "Sigmoid" in change.of
    assert changes(judge("clamp", "sigmoid", "linear")) == ()
