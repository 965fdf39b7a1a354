from typing import Any

import numpy as np

from dnndoctor.changes import Rewrite, Unwrap
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import (
    Fed,
    FoundModel,
    LossInput,
    LossInputs,
    Optimizer,
    Optimizers,
    Run,
    Steps,
    TrainingLoop,
)
from dnndoctor.rule import Result, State
from dnndoctor.rules.loss.loss_sign import loss_sign
from tests.rules.loss.fed import CALL, fed, inputs
from tests.rules.said import changes, only

MINUS = Location("train.py", 41)


def judge(
    *losses: LossInput,
    course: tuple[float, ...] = tuple(np.linspace(2, 1, 30)),
    likelihood: bool = False,
    family: str = "supervised",
    pretrained: bool = False,
    maximize: float = 0.0,
) -> Result:
    n = len(course)
    steps = Steps(np.arange(n), np.array(course), np.full(n, 0.1), np.zeros(n), np.zeros(n))
    optimizer = Optimizer("SGD", Location("train.py", 8), (0.1,), 0.1, steps=n, settings={"maximize": maximize})
    return loss_sign.evaluate(
        {
            LossInputs: inputs(*losses, likelihood=Fed("log_softmax", MINUS) if likelihood else None),
            Steps: steps,
            Optimizers: Optimizers((optimizer,)),
            Run: Run("cpu", None, n, pretrained=pretrained, family=family),
        }
    )


def one(function: str = "cross_entropy", **facts: Any) -> LossInput:
    return fed(function, (32, 10), (32,), **facts)


NEGATIVE = tuple(np.linspace(-2, -5, 30))


def test_a_negated_loss() -> None:
    [found] = judge(one(linear=True, sign=MINUS), course=NEGATIVE).findings
    assert found.severity is Severity.ERROR
    assert found.location == MINUS
    assert judge(one(linear=True, sign=MINUS)).state is State.PASS  # divided by the number of passes, say


def test_a_loss_that_is_maximised() -> None:
    [found] = judge(one(linear=True), maximize=1.0).findings
    assert found.location == Location("train.py", 8)
    assert judge(one(), maximize=1.0).state is State.PASS


def test_a_likelihood_that_is_minimised() -> None:
    [found] = judge(course=tuple(np.linspace(-2, -9, 30)), likelihood=True).findings
    assert found.location == MINUS
    assert "-9" in found.message


def test_a_likelihood_with_its_minus_sign_or_one_that_rises_passes() -> None:
    assert judge(course=tuple(np.linspace(2, 1, 30)), likelihood=True).state is State.PASS
    assert judge(course=tuple(np.linspace(-9, -2, 30)), likelihood=True).state is State.PASS
    assert judge(course=(-1.0, -2.0, -3.0), likelihood=True).state is State.PASS


def test_targets_outside_of_0_to_1_take_the_floor_away() -> None:
    quantiles = (0.0, 0.0, 0.0, 0.5, 1.0, 1.0)
    loss = "binary_cross_entropy_with_logits"
    [found] = judge(_targets(loss, -1.0, *quantiles)).findings
    assert "-1" in found.message
    assert found.location == CALL
    assert judge(_targets(loss, -0.01, *quantiles)).state is State.PASS


def _targets(function: str, *quantiles: float) -> LossInput:
    return fed(function, (32,), target=quantiles)


def test_sums_of_both_signs_unlearning_and_families_are_spared() -> None:
    assert judge(one(sign=MINUS, added_to=True), course=NEGATIVE).state is State.PASS
    assert judge(one(linear=True), pretrained=True, course=NEGATIVE).state is State.PASS
    assert judge(one(linear=True), family="gan", course=NEGATIVE).state is State.NOT_APPLICABLE


def test_a_perturbation_may_raise_the_loss() -> None:
    steps = Steps(np.arange(30), np.array(NEGATIVE), np.full(30, 0.1), np.zeros(30), np.zeros(30))
    loose = FoundModel("delta", "Tensor", 64, 64, tensors=("delta",))
    taken = {
        LossInputs: inputs(one(linear=True)),
        Steps: steps,
        TrainingLoop: TrainingLoop("supervised", "", (loose,)),
    }
    assert loss_sign.evaluate(taken).state is State.NOT_APPLICABLE


def test_without_a_loss_of_a_known_sign() -> None:
    assert judge(one("kl_div", linear=True)).state is State.NOT_APPLICABLE
    assert judge(one()).state is State.PASS


def test_a_sign_is_taken_away_or_put_there() -> None:
    course = tuple(np.linspace(-1, -5, 30))
    assert isinstance(only(judge(one(linear=True, sign=MINUS), course=course)), Unwrap)
    change = only(judge(likelihood=True, course=course))
    assert isinstance(change, Rewrite)
    assert change.template == "-{it}"


def test_targets_of_two_signs_are_moved() -> None:
    facts: dict[str, Any] = {"target": (-1.0,) * 3 + (1.0,) * 4}
    scores = fed("binary_cross_entropy_with_logits", (32, 1), distinct=(-1.0, 1.0), **facts)
    change = only(judge(scores))
    assert isinstance(change, Rewrite)
    assert (change.template, change.argument) == ("({it} + 1) / 2", 1)
    assert changes(judge(fed("binary_cross_entropy_with_logits", (32, 1), distinct=(-1.0, 0.0, 1.0), **facts))) == ()


def test_scores_in_the_place_of_log_probabilities_make_a_likelihood_negative_by_themselves() -> None:
    course = tuple(np.linspace(-0.3, -0.9, 30))
    assert judge(fed("nll_loss", (32, 3), linear=True, log_normaliser=1.4), course=course).state is State.PASS
    assert judge(fed("nll_loss", (32, 3), linear=True, log_normaliser=0.0), course=course).state is State.FINDING
