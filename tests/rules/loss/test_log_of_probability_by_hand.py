import pytest

from dnndoctor.changes import Rename, Rewrite, Unwrap
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Finiteness, Loss, Losses, LossInput, LossInputs, NonFinite, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.loss.log_of_probability_by_hand import log_of_probability_by_hand
from tests.rules.loss.fed import BUILT, CALL, chain, fed, inputs
from tests.rules.said import changes, options


def judge(
    *names: str, broken: bool = False, bce: LossInput | None = None, family: str = "supervised", function: str = ""
) -> Result:
    first = NonFinite(3, "forward", "log", "", "inf", CALL) if broken else None
    return log_of_probability_by_hand.evaluate(
        {
            Losses: Losses((Loss(function or "expression", CALL, 0.7, chain(*names)),)),
            LossInputs: inputs(*([bce] if bce else [])),
            Finiteness: Finiteness(50, first),
            Run: Run("cpu", None, 50, family=family),
        }
    )


@pytest.mark.parametrize("names", [("log", "softmax"), ("mean", "neg", "add", "mul", "log", "sigmoid", "linear")])
def test_a_log_by_hand_is_a_remark(names: tuple[str, ...]) -> None:
    [found] = judge(*names).findings
    assert found.severity is Severity.INFO
    assert found.location == Location("train.py", 20 - names.index("log") - 1)


def test_a_log_that_became_infinite_is_a_warning() -> None:
    assert judge("log", "sigmoid", broken=True).findings[0].severity is Severity.WARNING


@pytest.mark.parametrize("guard", ["add", "clamp", "clamp_min", "where"])
def test_an_epsilon_or_clamp_is_seen(guard: str) -> None:
    assert judge("log", guard, "softmax").state is State.PASS


def sigmoid(wrong: float) -> LossInput:
    return fed("binary_cross_entropy", (32, 1), chain=chain("sigmoid", "linear"), certain_wrong_share=wrong)


def test_binary_cross_entropy_on_a_sigmoid() -> None:
    [found] = judge("linear", bce=sigmoid(0.0)).findings
    assert found.severity is Severity.INFO
    assert found.location == BUILT
    assert judge("linear", bce=sigmoid(0.001)).findings[0].severity is Severity.INFO
    [found] = judge("linear", bce=sigmoid(0.02)).findings
    assert found.severity is Severity.WARNING
    assert "2.00%" in found.message


def test_a_gan_gets_a_remark_at_most() -> None:
    assert judge("linear", bce=sigmoid(0.5), family="gan").findings[0].severity is Severity.INFO


def test_none_is_not_applicable() -> None:
    assert judge("linear").state is State.NOT_APPLICABLE


def test_a_log_of_the_very_call_is_fused() -> None:
    log, softmax = changes(judge("log", "softmax"))
    assert isinstance(log, Unwrap)
    assert log.holding == ("softmax",)
    assert isinstance(softmax, Rename)
    assert (softmax.to, softmax.at) == ("log_softmax", Location("train.py", 18))
    _, sigmoid = changes(judge("log", "sigmoid"))
    assert isinstance(sigmoid, Rewrite)
    assert sigmoid.template == "torch.nn.functional.logsigmoid({0})"


def test_the_loss_takes_the_sigmoid_over() -> None:
    loss, away = changes(judge("linear", bce=sigmoid(0.0)))
    assert options(loss)[1][0] == Rename("BCEWithLogitsLoss", at=BUILT, of=("BCELoss",))
    assert isinstance(away, Unwrap)
    assert away.at == Location("train.py", 19)


def test_a_step_that_the_scaler_skipped_broke_nothing() -> None:
    first = NonFinite(3, "forward", "log", "", "inf", CALL, scaler_skipped=True)
    loss = Loss("expression", CALL, 0.7, chain("log", "softmax"))
    measured = {Losses: Losses((loss,)), LossInputs: inputs(), Finiteness: Finiteness(50, first)}
    assert log_of_probability_by_hand.evaluate(measured).findings[0].severity is Severity.INFO


def test_another_operation_that_overflows_is_not_the_logarithm_s() -> None:
    first = NonFinite(3, "forward", "exp", "", "inf", CALL)
    loss = Loss("expression", CALL, 0.7, chain("log", "softmax"))
    measured = {Losses: Losses((loss,)), LossInputs: inputs(), Finiteness: Finiteness(50, first)}
    assert log_of_probability_by_hand.evaluate(measured).findings[0].severity is Severity.INFO
