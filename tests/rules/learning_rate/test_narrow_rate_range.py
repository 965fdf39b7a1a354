import numpy as np

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import LearningRateSweep, Optimizer, Optimizers
from dnndoctor.rule import Result, State
from dnndoctor.rules.learning_rate.narrow_rate_range import narrow_rate_range

LINE = Location("train.py", 20)


def judge(diverging: float | None, best_score: float = 1.0, user: float = 0.1) -> Result:
    rates, scores = np.array([0.01, 0.1]), np.array([1.5, best_score])
    sweep = LearningRateSweep(
        "SGD", rates, scores, 2.0, 0.01, user, 1.5, 0.1, best_score, (0.1, 0.1), diverging, 20, True, "high"
    )
    optimizers = Optimizers((Optimizer("SGD", LINE, (user,), user, steps=50),))
    return narrow_rate_range.evaluate({LearningRateSweep: sweep, Optimizers: optimizers})


def test_an_edge_close_by() -> None:
    [found] = judge(0.2).findings
    assert found.severity is Severity.INFO
    assert found.location == LINE
    assert "2 times the best rate" in found.message
    assert judge(0.1 * 10**0.5).state is State.FINDING, "the next rate that is tried"


def test_a_rate_of_the_users_that_is_well_clear_of_the_edge() -> None:
    assert judge(0.2, user=0.021).state is State.FINDING
    assert judge(0.2, user=0.019).state is State.PASS


def test_an_edge_far_off_or_none() -> None:
    assert judge(0.3500001).state is State.PASS
    assert judge(None).state is State.PASS


def test_no_rate_that_learns() -> None:
    assert judge(0.2, best_score=1.99).state is State.NOT_APPLICABLE
