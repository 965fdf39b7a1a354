from typing import Any

import numpy as np

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Fed, LearningRateSweep, LossInputs, Optimizer, Optimizers
from dnndoctor.rule import Result, State
from dnndoctor.rules.loss.sum_reduced_loss import sum_reduced_loss
from tests.rules.loss.fed import BUILT, fed, inputs
from tests.rules.said import changes


def sweep(user_score: float, user_rate: float = 0.1) -> LearningRateSweep:
    rates, scores = np.array([1e-4, 1e-3, 1e-2, 0.1]), np.array([80.0, 20.0, 40.0, user_score])
    return LearningRateSweep(
        "SGD", rates, scores, 100.0, 0.5, user_rate, user_score, 1e-3, 20.0, (1e-3, 1e-3), None, 20, True, "high"
    )


def judge(taken: LearningRateSweep | None = None, summed: Fed | None = None, **facts: Any) -> Result:
    one = fed("mse_loss", (32, 1), **{"reduction": "sum", **facts})
    optimizers = Optimizers((Optimizer("SGD", None, (0.1,), 0.1, steps=50),))
    return sum_reduced_loss.evaluate(
        {LossInputs: inputs(one, summed=summed), Optimizers: optimizers, LearningRateSweep: taken}
        if taken
        else {LossInputs: inputs(one, summed=summed), Optimizers: optimizers}
    )


def test_a_sum_is_a_remark() -> None:
    [found] = judge().findings
    assert found.severity is Severity.INFO
    assert found.location == BUILT
    assert "batch of 32" in found.message


def test_a_sum_whose_rate_is_too_high_is_a_warning() -> None:
    [found] = judge(sweep(90.0)).findings
    assert found.severity is Severity.WARNING
    assert "too high" in found.message


def test_a_rate_that_suits_the_sum_leaves_it_a_remark() -> None:
    assert judge(sweep(25.0)).findings[0].severity is Severity.INFO


def test_a_sum_by_hand() -> None:
    place = Location("train.py", 33)
    assert judge(summed=Fed("sum", place), reduction="mean").findings[0].location == place


def test_means_and_sums_that_are_divided_or_added_to_are_not_judged() -> None:
    for facts in ({"reduction": "mean"}, {"divided": True}, {"added_to": True}):
        assert judge(**facts).state is State.NOT_APPLICABLE


def test_the_reduction_is_set_where_there_is_one() -> None:
    assert changes(judge()) == (SetArgument("reduction", '"mean"'),)
    assert changes(judge(summed=Fed("sum", Location("train.py", 9)), reduction="mean")) == ()
