from dataclasses import replace

import numpy as np
import pytest

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Clipping, LearningRateSweep, Optimizer, Optimizers
from dnndoctor.rule import Result, State
from dnndoctor.rules.gradients.clipping_too_hard import clipping_too_hard
from tests.rules.said import only

CALL = Location("train.py", 30)


def sweep(user_score: float) -> LearningRateSweep:
    rates, scores = np.array([0.01, 0.1, 1.0]), np.array([user_score, 1.5, 1.0])
    return LearningRateSweep(
        "SGD", rates, scores, 2.0, 0.01, 0.01, user_score, 1.0, 1.0, (0.1, 1.0), None, 20, True, "high"
    )


def judge(
    norm: float, limit: float = 1.0, calls: int = 50, optimizer: str = "SGD", score: float | None = None
) -> Result:
    taken = {
        Clipping: Clipping(np.full(calls, norm), np.full(calls, limit), CALL),
        Optimizers: Optimizers((Optimizer(optimizer, None, (0.01,), 0.01, steps=50),)),
    }
    return clipping_too_hard.evaluate(taken if score is None else {**taken, LearningRateSweep: sweep(score)})


def test_clipping_that_starves_the_step() -> None:
    [found] = judge(40.0, score=1.95).findings
    assert found.severity is Severity.WARNING
    assert found.location == CALL
    assert "100% of the steps" in found.message
    assert found.fix is not None
    assert found.fix.code == "max_norm=40"


@pytest.mark.parametrize(("optimizer", "score"), [("SGD", 1.2), ("SGD", None), ("Adam", 1.95)])
def test_without_measured_harm_it_is_a_remark(optimizer: str, score: float | None) -> None:
    assert judge(40.0, optimizer=optimizer, score=score).findings[0].severity is Severity.INFO


def test_so_hard_that_no_rate_of_the_sweep_gets_far() -> None:
    """A norm of 0.4 cut to 0.001: rates up to a hundred times the user's move the loss by 2 % of its size."""
    rates, scores = np.array([0.01, 0.1, 1.0]), np.array([1.999, 1.995, 1.96])
    starved = LearningRateSweep(
        "SGD", rates, scores, 2.0, 0.004, 0.01, 1.999, 1.0, 1.96, (1.0, 1.0), None, 40, True, "medium"
    )
    taken = {
        Clipping: Clipping(np.full(50, 0.4), np.full(50, 0.001), CALL),
        Optimizers: Optimizers((Optimizer("SGD", None, (0.01,), 0.01, steps=50),)),
        LearningRateSweep: starved,
    }
    assert clipping_too_hard.evaluate(taken).findings[0].severity is Severity.WARNING
    noise = replace(starved, noise=0.02)
    assert clipping_too_hard.evaluate({**taken, LearningRateSweep: noise}).findings[0].severity is Severity.INFO


def test_moderate_clipping_and_none_pass() -> None:
    assert judge(5.0, score=1.2).state is State.PASS
    assert judge(10.0).state is State.PASS
    assert judge(0.9, score=1.95).state is State.PASS


def test_too_few_calls_and_no_clipping() -> None:
    assert judge(40.0, calls=9).state is State.NOT_EXAMINED
    optimizers = Optimizers((Optimizer("SGD", None, (0.01,), 0.01),))
    assert clipping_too_hard.evaluate({Optimizers: optimizers}).state is State.NOT_APPLICABLE


def test_the_limit_is_raised() -> None:
    change = only(judge(40.0, score=1.95))
    assert change == SetArgument("max_norm", "40", position=1, of=("clip_grad_norm_",))
