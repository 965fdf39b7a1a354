import numpy as np
import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import (
    LearningRateSweep,
    Loss,
    Losses,
    OneBatch,
    OneBatchTrial,
    Optimizer,
    Optimizers,
    Run,
    Steps,
)
from dnndoctor.rule import Result, State
from dnndoctor.rules.loss.loss_not_decreasing import loss_not_decreasing

BACKWARD = Location("train.py", 30)
NOISE = np.random.default_rng(0).normal(0, 0.05, 50)


def judge(
    course: np.ndarray | None = None,
    best: float = 2.29,
    by_heart: float | None = None,
    family: str = "supervised",
    start: float = 2.3,
    pretrained: bool = False,
) -> Result:
    loss = 2.3 + NOISE if course is None else course
    steps = Steps(np.arange(loss.size), loss, np.full(loss.size, 0.1), NOISE, NOISE, BACKWARD)
    rates = np.array([0.01, 0.1])
    sweep = LearningRateSweep(
        "SGD", rates, np.array([best, 2.3]), start, 0.02, 0.1, 2.3, 0.01, best, (0.01, 0.01), None, 20, True, "high"
    )
    taken = {
        Steps: steps,
        LearningRateSweep: sweep,
        Optimizers: Optimizers((Optimizer("SGD", None, (0.1,), 0.1, steps=50),)),
        Losses: Losses((Loss("cross_entropy", None, start, best_constant=2.3),)),
        Run: Run("cpu", None, 50, family=family, pretrained=pretrained),
    }
    if by_heart is not None:
        trial = OneBatchTrial(0.1, True, 200, 2.3, by_heart, by_heart < 0.23, np.array([2.3, by_heart]))
        taken[OneBatch] = OneBatch((trial,))
    return loss_not_decreasing.evaluate(taken)


def test_nothing_is_learnt_not_even_one_batch() -> None:
    [found] = judge(by_heart=2.28).findings
    assert found.severity is Severity.WARNING
    assert found.location == BACKWARD
    assert "one batch" in found.message


@pytest.mark.parametrize("by_heart", [None, 0.01, 1.0])
def test_random_labels_are_a_remark(by_heart: float | None) -> None:
    assert judge(by_heart=by_heart).findings[0].severity is Severity.INFO


def test_progress_at_any_rate_or_in_the_watched_steps_passes() -> None:
    assert judge(best=2.2).state is State.PASS
    assert judge(np.linspace(2.3, 2.0, 50) + NOISE).state is State.PASS
    assert judge(np.linspace(2.3, 2.29, 50)).state is State.FINDING


def test_what_is_not_judged() -> None:
    assert judge(start=0.4, best=0.4).state is State.NOT_APPLICABLE
    assert judge(pretrained=True).state is State.NOT_APPLICABLE
    assert judge(family="reinforcement").state is State.NOT_APPLICABLE
    assert judge(2.3 + NOISE[:29]).state is State.NOT_EXAMINED
