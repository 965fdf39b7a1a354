import pytest

from dnndoctor.changes import Rename
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import LossInputs
from dnndoctor.rule import Result, State
from dnndoctor.rules.loss.nll_on_raw_scores import nll_on_raw_scores
from tests.rules.loss.fed import BUILT, chain, fed, inputs, softmax
from tests.rules.said import only, options


def judge(normaliser: float | None, *names: str, function: str = "nll_loss", uses: tuple[int, ...] = ()) -> Result:
    one = fed(
        function,
        (32, 10),
        (32,),
        log_normaliser=normaliser,
        lowest_log_normaliser=normaliser,
        chain=chain(*names),
        softmaxes=tuple(softmax(axis, (32, 10), "log_softmax") for axis in uses),
    )
    return nll_on_raw_scores.evaluate({LossInputs: inputs(one)})


def test_raw_scores() -> None:
    [found] = judge(2.31, "linear").findings
    assert found.severity is Severity.ERROR
    assert found.location == BUILT
    assert "raw scores" in found.message


def test_probabilities() -> None:
    [found] = judge(2.4, "softmax", "linear").findings
    assert "probabilities" in found.message
    assert found.location == Location("train.py", 19)


@pytest.mark.parametrize("normaliser", [0.0, 1e-6, 0.05, -0.7])
def test_log_probabilities_pass_whatever_made_them(normaliser: float) -> None:
    assert judge(normaliser, "log", "softmax").state is State.PASS


def test_just_over_the_tolerance() -> None:
    assert judge(0.051, "linear").state is State.FINDING


def test_a_wrong_axis_is_left_to_its_own_rule() -> None:
    assert judge(1.2, "log_softmax", uses=(0,)).state is State.PASS


def test_not_applicable_and_not_examined() -> None:
    assert judge(2.3, function="cross_entropy").state is State.NOT_APPLICABLE
    assert judge(None).state is State.NOT_EXAMINED


def test_raw_scores_get_the_fused_loss_and_probabilities_a_logarithm() -> None:
    [[call], [layer]] = options(only(judge(2.31, "linear")))
    assert call == Rename("cross_entropy", at=BUILT, of=("nll_loss",), safety=call.safety)
    assert layer == Rename("CrossEntropyLoss", at=BUILT, of=("NLLLoss",), safety=call.safety)
    [[call], [layer]] = options(only(judge(2.4, "softmax", "linear")))
    assert isinstance(layer, Rename)
    assert (layer.to, layer.at) == ("LogSoftmax", Location("train.py", 19))
