import pytest

from dnndoctor.changes import Rewrite, Safety
from dnndoctor.findings import Severity
from dnndoctor.measurements import Difference, LossInputs
from dnndoctor.rule import Result, State
from dnndoctor.rules.loss.shape_broadcast_in_loss import shape_broadcast_in_loss
from tests.rules.loss.fed import CALL, fed, inputs
from tests.rules.said import changes, only

Shape = tuple[int, ...]


def judge(shape: Shape, target: Shape, function: str = "mse_loss") -> Result:
    return shape_broadcast_in_loss.evaluate({LossInputs: inputs(fed(function, shape, target))})


@pytest.mark.parametrize(("shape", "target"), [((32, 1), (32,)), ((32,), (32, 1)), ((8, 5, 1), (8,))])
def test_every_prediction_with_every_target(shape: Shape, target: Shape) -> None:
    [found] = judge(shape, target).findings
    assert found.severity is Severity.ERROR
    assert found.location == CALL


def test_the_message_counts_the_pairs() -> None:
    [found] = judge((32, 1), (32,)).findings
    assert "(32, 1)" in found.message
    assert "1024 pairs instead of 32" in found.message
    assert "squeeze(1)" in str(found.fix)


@pytest.mark.parametrize(
    ("shape", "target"),
    [((32, 1), (32, 1)), ((32,), (32,)), ((32, 4), (4,)), ((32, 1), ()), ((1, 1), (1,)), ((32, 1), (1, 32))],
)
def test_same_shapes_and_what_grows_nothing_pass(shape: Shape, target: Shape) -> None:
    assert judge(shape, target).state is State.PASS


def test_a_difference_by_hand() -> None:
    one = Difference(CALL, (16, 1), (16,), (16, 16))
    [found] = shape_broadcast_in_loss.evaluate({LossInputs: inputs(differences=(one,))}).findings
    assert "256 pairs instead of 16" in found.message


def test_losses_over_classes_are_not_judged() -> None:
    assert judge((32, 10), (32,), "cross_entropy").state is State.NOT_APPLICABLE


@pytest.mark.parametrize(("shape", "target", "argument"), [((32, 1), (32,), 0), ((32,), (32, 1), 1)])
def test_the_longer_one_is_squeezed(shape: Shape, target: Shape, argument: int) -> None:
    assert only(judge(shape, target)) == Rewrite("{it}.squeeze(1)", argument=argument, safety=Safety.SAFE)


def test_shapes_that_no_squeeze_makes_equal_are_left_to_a_person() -> None:
    assert changes(judge((8, 5, 1), (8,))) == ()


@pytest.mark.parametrize("side", [0, 1])
def test_by_hand_the_prediction_s_side_is_squeezed(side: int) -> None:
    one = Difference(CALL, (16, 1), (16,), (16, 16), side)
    change = only(shape_broadcast_in_loss.evaluate({LossInputs: inputs(differences=(one,))}))
    assert change == Rewrite("{it}.squeeze(1)", argument=side, of=("-",), safety=Safety.SAFE)
