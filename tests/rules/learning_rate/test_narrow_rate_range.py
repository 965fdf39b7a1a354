import numpy as np

from dnndoctor.findings import Severity
from dnndoctor.measurements import LearningRateSweep, Optimizer, Optimizers
from dnndoctor.rule import Result, State
from dnndoctor.rules.learning_rate.narrow_rate_range import narrow_rate_range


def judge(diverging: float | None, best_score: float = 1.0) -> Result:
    rates, scores = np.array([0.01, 0.1]), np.array([1.5, best_score])
    sweep = LearningRateSweep(
        "SGD", rates, scores, 2.0, 0.01, 0.01, 1.5, 0.1, best_score, (0.1, 0.1), diverging, 20, True, "high"
    )
    optimizers = Optimizers((Optimizer("SGD", None, (0.01,), 0.01, steps=50),))
    return narrow_rate_range.evaluate({LearningRateSweep: sweep, Optimizers: optimizers})


def test_an_edge_close_by() -> None:
    [found] = judge(0.2).findings
    assert found.severity is Severity.INFO
    assert "2 times the best rate" in found.message


def test_an_edge_far_off_or_none() -> None:
    assert judge(0.3000001).state is State.PASS
    assert judge(None).state is State.PASS


def test_no_rate_that_learns() -> None:
    assert judge(0.2, best_score=1.99).state is State.NOT_APPLICABLE
