from __future__ import annotations

from dnndoctor.findings import Severity
from dnndoctor.measurements import SavedTensor
from dnndoctor.rule import State
from dnndoctor.rules.regularization.weights_fade import weights_fade as rule
from tests.literals import judged
from tests.rules.saved import matrix, norm, row


def both(scale: float, *more: SavedTensor) -> tuple[SavedTensor, ...]:
    return matrix("a.weight", scale), matrix("b.weight", scale), *more


def test_weights_that_decay_to_nothing() -> None:
    [found] = judged(rule, row(both(0.6), both(0.6e-3), both(0.6e-4))).findings
    assert found.severity is Severity.WARNING
    assert "0.0001 of the weights' size is left in 2.pt (step 200)" in found.message
    assert "between 0.pt (step 0) and 1.pt (step 100)" in found.message


def test_near_misses() -> None:
    assert judged(rule, row(both(0.6), both(0.23))).state is State.PASS  # a decay of 1e-2, that learns
    assert judged(rule, row(both(0.6), both(0.0126))).state is State.PASS
    assert judged(rule, row(both(0.6, norm()), both(0.006, norm()))).state is State.PASS  # scale is taken out again
    head = row(both(0.6, matrix("c.weight", 0.6)), both(0.6, matrix("c.weight", 1e-9)))
    assert judged(rule, head).state is State.PASS  # one layer of three


def test_behind_norms_next_to_nothing_is_left() -> None:
    assert judged(rule, row(both(0.6, norm()), both(0.6e-5, norm()))).findings


def test_one_checkpoint_tells_nothing() -> None:
    assert judged(rule, row(both(0.6))).state is State.NOT_EXAMINED
