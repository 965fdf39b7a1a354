from __future__ import annotations

import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import SavedTensor
from dnndoctor.rule import State
from dnndoctor.rules.weight_initialization.units_all_alike import units_all_alike as rule
from tests.literals import judged
from tests.rules.saved import matrix, row


def alike(name: str = "a.weight", shape: tuple[int, ...] = (64, 64), moved: float | None = 1.0) -> SavedTensor:
    return matrix(name, shape=shape, alike=1.0, moved=moved, was=None if moved is None else 8.0)


def test_equal_units_that_were_trained() -> None:
    [found] = judged(
        rule, row((alike(moved=None),), (alike(), alike("b.weight"), matrix("c.weight", moved=1.0)))
    ).findings
    assert (found.severity, found.subject) == (Severity.ERROR, "a.weight")
    assert "in 1.pt (step 100) all units of a.weight, b.weight have the same weights: 128 units do what 2 could" in (
        found.message
    )


def test_of_one_checkpoint_alone() -> None:
    assert judged(rule, row((alike(moved=None),))).findings


@pytest.mark.parametrize(
    "name",
    ["wte.weight", "layer.norm.weight", "lora_A.weight", "blur.weight", "experts.w1", "ensemble.0.weight", "mask"],
)
def test_what_may_be_alike(name: str) -> None:
    assert not judged(rule, row((alike(name), matrix("c.weight")))).findings


def test_near_misses() -> None:
    still = row((alike(moved=None),), (alike(moved=0.0), matrix("b.weight", moved=1.0)))
    assert judged(rule, still).state is State.PASS  # a constant buffer, or frozen
    most = row((matrix(alike=0.99),))
    assert judged(rule, most).state is State.PASS
    zero = row((matrix(scale=0.0, alike=None), matrix("b.weight")))
    assert judged(rule, zero).state is State.PASS  # the end of a branch that starts at zero
    depthwise = row((alike(shape=(64, 1, 3, 3)), matrix("b.weight")))
    assert judged(rule, depthwise).state is State.PASS


def test_where_there_is_nothing_to_judge() -> None:
    assert judged(rule, row((alike(shape=(4, 64)),))).state is State.NOT_APPLICABLE
