from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import LossInput, LossInputs
from dnndoctor.rule import Result, State
from dnndoctor.rules.loss.single_class_cross_entropy import single_class_cross_entropy
from tests.rules.loss.fed import BUILT, chain, fed, inputs, softmax


def judge(one: LossInput) -> Result:
    return single_class_cross_entropy.evaluate({LossInputs: inputs(one)})


def test_a_cross_entropy_over_one_output() -> None:
    [found] = judge(fed("cross_entropy", (32, 1), (32,))).findings
    assert found.severity is Severity.ERROR
    assert found.location == BUILT


def test_a_softmax_over_one_output() -> None:
    one = fed("binary_cross_entropy", (32, 1), chain=chain("softmax"), softmaxes=(softmax(1, (32, 1)),))
    [found] = judge(one).findings
    assert found.location == Location("train.py", 19)
    assert "always 1" in found.message


def test_two_outputs_pass() -> None:
    assert judge(fed("cross_entropy", (32, 2), (32,))).state is State.PASS
    assert judge(fed("cross_entropy", (10,), ())).state is State.PASS
    wide = fed("mse_loss", (32, 2), chain=chain("softmax"), softmaxes=(softmax(1, (32, 2)),))
    assert judge(wide).state is State.PASS


def test_a_softmax_that_pools_is_not_judged() -> None:
    one = fed("mse_loss", (32, 1), chain=chain("mul", "softmax"), softmaxes=(softmax(1, (32, 1)),))
    assert judge(one).state is State.PASS


def test_neither() -> None:
    assert judge(fed("mse_loss", (32, 1))).state is State.NOT_APPLICABLE
