from math import e, log

import pytest

from dnndoctor.changes import Safety, Unwrap
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Fed, Loss, Losses, LossInputs
from dnndoctor.rule import Result, State
from dnndoctor.rules.loss.softmax_before_cross_entropy import softmax_before_cross_entropy
from tests.rules.loss.fed import chain, fed, inputs
from tests.rules.said import changes, only


def loss(*chain: str, function: str = "cross_entropy", line: int = 20) -> Loss:
    """The operations that feed the loss, nearest first, on lines of their own."""
    fed = tuple(Fed(name, Location("train.py", line - at), "head") for at, name in enumerate(chain, 1))
    return Loss(function, Location("train.py", 40), 2.3, fed, classes=10)


def judge(*losses: Loss) -> Result:
    return softmax_before_cross_entropy.evaluate({Losses: Losses(losses)})


def test_a_softmax_before_cross_entropy() -> None:
    [found] = judge(loss("softmax", "linear")).findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 19)
    assert found.subject == "head"
    assert "1.46" in found.message
    assert found.evidence[1].value == pytest.approx(log((e + 9) / e))
    assert found.fix is not None
    assert "cross_entropy(scores, target)" in str(found.fix.code)


@pytest.mark.parametrize("between", ["dropout", "clamp", "add"])
def test_what_stands_between_does_not_hide_it(between: str) -> None:
    assert judge(loss(between, "softmax", "linear")).findings[0].location == Location("train.py", 18)


def test_no_softmax_passes() -> None:
    assert judge(loss("linear")).state is State.PASS
    assert judge(loss("relu", "linear")).state is State.PASS


@pytest.mark.parametrize(
    "chain", [("log_softmax", "linear"), ("log", "softmax", "linear"), ("log", "clamp", "softmax")]
)
def test_log_softmax_under_nll_loss_is_right(chain: tuple[str, ...]) -> None:
    assert judge(loss(*chain, function="nll_loss")).state is State.PASS


@pytest.mark.parametrize("chain", [("log_softmax", "linear"), ("log", "add", "softmax", "linear")])
def test_log_softmax_under_cross_entropy_is_a_remark(chain: tuple[str, ...]) -> None:
    [found] = judge(loss(*chain)).findings
    assert found.severity is Severity.INFO


def test_two_softmaxes_under_nll_loss() -> None:
    [found] = judge(loss("log_softmax", "softmax", "linear", function="nll_loss")).findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 18)


def test_nll_loss_of_bare_probabilities_is_left_to_its_own_rule() -> None:
    assert judge(loss("softmax", "linear", function="nll_loss")).state is State.PASS


@pytest.mark.parametrize(("rows", "sums"), [(16, True), (15, True), (500, False)])
def test_scores_that_add_up_to_one_were_through_a_softmax_however_it_is_written(rows: int, sums: bool) -> None:
    one = fed("cross_entropy", (32, 10), (32,), chain=chain("div", "exp", "linear"), probabilities=sums, rows=rows)
    measured = {Losses: Losses((loss("div", "exp", "linear"),)), LossInputs: inputs(one)}
    result = softmax_before_cross_entropy.evaluate(measured)
    assert (result.state is State.FINDING) == (sums and rows >= 16)
    assert [each.location for each in result.findings] == [Location("train.py", 19)] * len(result.findings)


def test_a_softmax_behind_a_layer_is_attention() -> None:
    assert judge(loss("linear", "softmax", "linear")).state is State.PASS


@pytest.mark.parametrize("mixing", ["mul", "sum", "mean", "matmul"])
def test_a_softmax_that_mixes_experts_is_no_prediction(mixing: str) -> None:
    assert judge(loss(mixing, "softmax", "linear")).state is State.PASS


@pytest.mark.parametrize("function", ["mse_loss", "binary_cross_entropy", "kl_div", "expression"])
def test_other_losses_are_not_applicable(function: str) -> None:
    assert judge(loss("softmax", "linear", function=function)).state is State.NOT_APPLICABLE


def test_one_finding_per_place_and_every_loss_is_looked_at() -> None:
    sick = loss("softmax", "linear")
    assert len(judge(loss("linear"), sick, sick).findings) == 1
    assert len(judge(sick, loss("softmax", "linear", line=30)).findings) == 2


def test_the_softmax_is_taken_away_unless_a_clamp_counts_on_it() -> None:
    change = only(judge(loss("dropout", "softmax", "linear")))
    assert isinstance(change, Unwrap)
    assert (change.at, change.of) == (Location("train.py", 18), ("softmax", "Softmax"))
    assert changes(judge(loss("clamp", "softmax", "linear"))) == ()


@pytest.mark.parametrize(("in_model", "safety"), [(False, Safety.SAFE), (True, Safety.UNSAFE)])
def test_a_model_s_output_may_be_used_elsewhere(in_model: bool, safety: Safety) -> None:
    one = Fed("softmax", Location("train.py", 19), in_model=in_model)
    assert only(judge(Loss("cross_entropy", Location("train.py", 40), 2.3, (one,), classes=10))).safety is safety
