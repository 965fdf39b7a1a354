from typing import Any

from dnndoctor.changes import Rename, Rewrite, Unwrap
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import LossInput, LossInputs
from dnndoctor.rule import Result, State
from dnndoctor.rules.loss.single_class_cross_entropy import single_class_cross_entropy
from tests.rules.loss.fed import BUILT, chain, fed, inputs, softmax
from tests.rules.said import changes, only, options


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


def test_numbers_get_the_loss_that_is_made_for_them() -> None:
    for values, layer in (((0.0, 1.0), "BCEWithLogitsLoss"), ((0.5, 2.0), "MSELoss")):
        change = options(only(judge(fed("cross_entropy", (32, 1), distinct=values))))[1][0]
        assert isinstance(change, Rename)
        assert (change.to, change.at) == (layer, BUILT)
    assert changes(judge(fed("cross_entropy", (32, 1), (32,), target_kind="integer", distinct=(0.0,)))) == ()


def test_a_softmax_over_one_output_becomes_a_sigmoid_or_goes() -> None:
    parts: dict[str, Any] = {"chain": chain("softmax"), "softmaxes": (softmax(1, (32, 1)),)}
    call = options(only(judge(fed("binary_cross_entropy", (32, 1), **parts))))[0][0]
    assert isinstance(call, Rewrite)
    assert call.template == "torch.sigmoid({0})"
    assert isinstance(only(judge(fed("mse_loss", (32, 1), **parts))), Unwrap)
