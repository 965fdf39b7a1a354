from typing import Any

import pytest

from dnndoctor.changes import Rename, Unwrap
from dnndoctor.findings import Severity
from dnndoctor.measurements import LossInput, LossInputs, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.loss.squared_error_for_classes import squared_error_for_classes
from tests.rules.loss.fed import BUILT, chain, fed, inputs
from tests.rules.said import changes, options


def judge(one: LossInput, family: str = "supervised") -> Result:
    run = Run("cpu", None, 50, family=family)
    return squared_error_for_classes.evaluate({LossInputs: inputs(one), Run: run})


def classes(shape: tuple[int, ...], *values: float, **facts: Any) -> LossInput:
    given = {"rows": 500, "whole": True, "distinct": tuple(values), "target_std": 0.5, "late_error": 0.2}
    return fed(facts.pop("function", "mse_loss"), shape, **{**given, **facts})


def test_rows_with_one_one() -> None:
    [found] = judge(classes((32, 10), 0.0, 1.0, one_hot=True)).findings
    assert found.severity is Severity.WARNING
    assert found.location == BUILT
    assert "10 classes" in found.message


@pytest.mark.parametrize("shape", [(32,), (32, 1)])
def test_class_numbers_that_were_cast(shape: tuple[int, ...]) -> None:
    assert judge(classes(shape, 0.0, 1.0, 2.0, from_integers=True)).findings[0].severity is Severity.WARNING
    assert judge(classes(shape, 0.0, 1.0, 2.0)).findings[0].severity is Severity.INFO
    counts = classes(shape, 0.0, 1.0, 2.0, from_integers=True, late_error=0.1)
    assert judge(counts).findings[0].severity is Severity.INFO


def test_two_classes_are_a_remark_unless_little_is_learnt() -> None:
    squashed = chain("sigmoid", "linear")
    for error, severity in ((0.125, Severity.WARNING), (0.124, Severity.INFO)):
        one = classes((32, 1), 0.0, 1.0, late_error=error, chain=squashed)
        assert judge(one).findings[0].severity is severity
    assert judge(classes((32, 1), 0.0, 1.0, late_error=0.2)).findings[0].severity is Severity.INFO  # clicks, say


@pytest.mark.parametrize(
    "one",
    [
        classes((32,), 1.0, 2.0, 3.0, 4.0, 5.0, from_integers=True),  # ratings
        classes((32,), 0.0, 2.0, 5.0, from_integers=True),  # counts
        classes((32,), *map(float, range(21)), from_integers=True),
        classes((32, 64), 0.0, 1.0),  # a binary image or several labels
        classes((32, 10), 0.0, 1.0, one_hot=True, target_is_input=True),
        classes((32, 10), 0.0, 1.0, one_hot=True, target_differentiable=True),
        classes((32,), 0.1, 0.7, whole=False),
    ],
)
def test_what_is_no_class(one: LossInput) -> None:
    assert judge(one).state is State.PASS


def test_too_few_and_other_losses_and_families() -> None:
    assert judge(classes((4, 1), 0.0, 1.0, rows=99)).state is State.NOT_EXAMINED
    assert judge(classes((32, 10), 0.0, function="cross_entropy")).state is State.NOT_APPLICABLE
    assert judge(classes((32, 1), 0.0, 1.0), "gan").state is State.NOT_APPLICABLE


def test_rows_with_one_one_suit_the_cross_entropy_as_they_are() -> None:
    loss, softmax = changes(judge(classes((32, 10), 0.0, 1.0, one_hot=True, chain=chain("softmax", "linear"))))
    assert options(loss)[1][0] == Rename("CrossEntropyLoss", at=BUILT, of=("MSELoss",))
    assert isinstance(softmax, Unwrap)


def test_class_numbers_and_signs_are_left_to_a_person() -> None:
    assert changes(judge(classes((32,), 0.0, 1.0, 2.0, from_integers=True))) == ()
    assert changes(judge(classes((32, 1), -1.0, 1.0, chain=chain("tanh", "linear")))) == ()
    [loss] = changes(judge(classes((32, 1), 0.0, 1.0)))
    assert options(loss)[0][0] == Rename("binary_cross_entropy_with_logits", at=BUILT, of=("mse_loss",))
