import pytest

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import LossInputs
from dnndoctor.rule import Result, State
from dnndoctor.rules.loss.wrong_softmax_axis import wrong_softmax_axis
from tests.rules.loss.fed import chain, fed, inputs, softmax
from tests.rules.said import only, options


def judge(
    axis: int,
    shape: tuple[int, ...] = (32, 10),
    names: tuple[str, ...] = ("log_softmax", "linear"),
    normaliser: float = 1.0,
    chosen: bool = True,
) -> Result:
    use = softmax(axis, shape, names[-2] if len(names) > 1 else "softmax", chosen)
    one = fed("nll_loss", shape, (32,), chain=chain(*names), softmaxes=(use,), log_normaliser=normaliser)
    return wrong_softmax_axis.evaluate({LossInputs: inputs(one)})


def test_over_the_samples() -> None:
    [found] = judge(0).findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 19)
    assert "32 entries" in found.message
    assert "dim=1" in str(found.fix)


def test_a_logarithm_between_hides_nothing() -> None:
    assert judge(0, names=("log", "softmax", "linear")).state is State.FINDING


def test_an_axis_that_was_left_out() -> None:
    [found] = judge(0, (32, 5, 10), chosen=False).findings
    assert "left out" in found.message


def test_another_axis_than_the_classes() -> None:
    assert judge(2, (32, 10, 7)).state is State.FINDING
    assert judge(2, (32, 10, 7), normaliser=0.0).state is State.PASS


@pytest.mark.parametrize(
    ("axis", "shape", "names"),
    [
        (1, (32, 10), ("log_softmax", "linear")),
        (0, (7, 10), ("log_softmax", "linear")),  # the first axis is no batch
        (0, (10,), ("log_softmax", "linear")),
        (0, (32, 1), ("softmax", "linear")),  # one score each: a ranked list
        (0, (32, 10), ("mul", "softmax", "linear")),  # pooling
    ],
)
def test_sound_uses(axis: int, shape: tuple[int, ...], names: tuple[str, ...]) -> None:
    one = fed("mse_loss", (32, 10), chain=chain(*names), softmaxes=(softmax(axis, shape),))
    assert wrong_softmax_axis.evaluate({LossInputs: inputs(one)}).state is State.PASS


def test_no_softmax() -> None:
    assert wrong_softmax_axis.evaluate({LossInputs: inputs(fed("mse_loss", (32,)))}).state is State.NOT_APPLICABLE


def test_the_axis_is_set_where_the_softmax_is_called_or_built() -> None:
    [[call], [layer]] = options(only(judge(0)))
    assert isinstance(call, SetArgument)
    assert isinstance(layer, SetArgument)
    assert (call.name, call.value, call.position, call.of) == ("dim", "1", 1, ("log_softmax",))
    assert (layer.position, layer.of, layer.at) == (0, ("LogSoftmax",), Location("train.py", 19))
