from __future__ import annotations

from dnndoctor.findings import Severity
from dnndoctor.measurements import SavedTensor
from dnndoctor.rule import State
from dnndoctor.rules.learning_method.weights_explode import weights_explode as rule
from tests.literals import judged
from tests.rules.saved import matrix, norm, row


def both(scale: float, *more: SavedTensor) -> tuple[SavedTensor, ...]:
    return matrix("a.weight", scale), matrix("b.weight", scale), *more


def test_weights_that_grew_out_of_proportion() -> None:
    [found] = judged(rule, row(both(0.6), both(0.7), both(24.0), both(25.0))).findings
    assert found.severity is Severity.WARNING
    assert "grow 41.7 times from 0.pt (step 0) to 3.pt (step 300)" in found.message
    assert "between 1.pt (step 100) and 2.pt (step 200)" in found.message
    assert found.fix is not None
    assert "go on from 1.pt" in found.fix.summary


def test_near_misses() -> None:
    assert judged(rule, row(both(0.6), both(4.1))).state is State.PASS  # ten times the best rate, and it learned
    assert judged(rule, row(both(0.01), both(1.0))).state is State.PASS  # a small start grows to the usual size
    assert judged(rule, row(both(0.6, norm()), both(30.0, norm()))).state is State.PASS  # scale is taken out again
    one = row((*both(0.6), matrix("c.weight", 0.6)), (*both(0.7), matrix("c.weight", 60.0)))
    assert judged(rule, one).state is State.PASS  # one layer of three
    zero = row((matrix("a.weight", 0.0), matrix("b.weight", 0.6)), both(0.7))
    assert judged(rule, zero).state is State.PASS  # that started at zero, as branches' ends do


def test_behind_norms_it_takes_more() -> None:
    assert judged(rule, row(both(0.6, norm()), both(120.0, norm()))).findings


def test_one_checkpoint_tells_no_growth() -> None:
    assert judged(rule, row(both(0.6))).state is State.NOT_EXAMINED
    other = row((matrix("a.weight", shape=(32, 32)),), (matrix("a.weight", shape=(64, 64)),))
    assert judged(rule, other).state is State.NOT_EXAMINED
