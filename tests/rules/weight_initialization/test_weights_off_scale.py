from __future__ import annotations

import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import SavedTensor
from dnndoctor.rule import State
from dnndoctor.rules.weight_initialization.weights_off_scale import weights_off_scale as rule
from tests.literals import judged
from tests.rules.saved import matrix, norm, row


def both(scale: float) -> tuple[SavedTensor, ...]:
    return matrix("a.weight", scale), matrix("b.weight", scale)


def test_normal_weights_of_many_inputs() -> None:
    large = (matrix("a.weight", 16.0, (256, 256)), matrix("b.weight", 16.0, (256, 256)))
    [found] = judged(rule, row(large)).findings
    assert found.severity is Severity.INFO
    assert "about 16 times too large: a.weight has a root mean square of 1 for 256 inputs" in found.message


def test_weights_of_next_to_nothing() -> None:
    [found] = judged(rule, row(both(0.001))).findings
    assert "1e+03 times too small" in found.message


@pytest.mark.parametrize("scale", [0.011, 0.16, 0.58, 1.41, 4.7, 9.9])
def test_scales_in_use(scale: float) -> None:
    assert judged(rule, row(both(scale))).state is State.PASS


def test_where_it_is_not_judged() -> None:
    normed = row((matrix("a.weight", 16.0), norm(), matrix("b.weight", 16.0)))
    assert judged(rule, normed).state is State.NOT_APPLICABLE
    batch_norm = row((matrix("a.weight", 16.0), matrix("b.weight", 16.0), norm("bn1.running_mean")))
    assert judged(rule, batch_norm).state is State.NOT_APPLICABLE
    assert judged(rule, row((matrix("a.weight", 16.0),))).state is State.NOT_APPLICABLE
    tables = row((matrix("emb.weight", 16.0), matrix("wte.weight", 16.0)))
    assert judged(rule, tables).state is State.NOT_APPLICABLE


def test_one_odd_matrix_among_others() -> None:
    mixed = (matrix("a.weight", 16.0), matrix("b.weight", 1.0), matrix("c.weight", 1.0))
    assert judged(rule, row(mixed)).state is State.PASS


def test_later_checkpoints_are_not_a_start() -> None:
    assert judged(rule, row(both(1.0), both(20.0))).state is State.PASS
