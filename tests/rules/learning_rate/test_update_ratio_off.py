from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import LearningRateSweep, Run
from dnndoctor.rule import State
from dnndoctor.rules.learning_rate.update_ratio_off import update_ratio_off as rule
from tests.literals import a_parameter, an_optimizer, judged, updates, weights_of
from tests.rules.learning_rate.conftest import make_sweep

MODEL = weights_of(a_parameter("a.weight"), a_parameter("b.weight"), a_parameter("a.bias", "bias"))


@pytest.mark.parametrize(
    ("ratio", "severity"),
    [
        (9e-6, Severity.WARNING),
        (2e-5, Severity.INFO),
        (1e-4, None),
        (1e-3, None),
        (0.05, None),
        (0.06, Severity.INFO),
        (0.2, Severity.WARNING),
    ],
)
def test_the_bands(ratio: float, severity: Severity | None) -> None:
    harmed = make_sweep(1.0, 2.0)
    findings = judged(rule, updates(a__weight=ratio, b__weight=ratio), MODEL, an_optimizer(), harmed).findings
    assert [each.severity for each in findings] == ([] if severity is None else [severity])
    assert all(each.location == Location("train.py", 20, 48) for each in findings)


def test_the_fix_brings_it_to_a_thousandth() -> None:
    [found] = judged(rule, updates(a__weight=1e-6, b__weight=1e-6), MODEL, an_optimizer(rate=1e-4)).findings
    assert found.fix is not None
    assert found.fix.code == "lr=0.1"


def test_biases_embeddings_and_small_weights_do_not_count() -> None:
    small = weights_of(
        a_parameter("a.weight"),
        a_parameter("b.weight", std=1e-4),
        a_parameter("c.weight", kind="embedding", shape=(8, 4)),
    )
    moves = updates(a__weight=1e-3, b__weight=0.5, c__weight=0.5)
    assert judged(rule, moves, small, an_optimizer()).state is State.PASS


def test_where_trials_do_no_better_it_is_information(sweep: Callable[..., LearningRateSweep]) -> None:
    moves = updates(a__weight=0.2, b__weight=0.2)
    assert judged(rule, moves, MODEL, an_optimizer(), sweep(0.2, 0.4)).findings[0].severity is Severity.INFO
    assert judged(rule, moves, MODEL, an_optimizer(), sweep(1.0, 2.0)).findings[0].severity is Severity.WARNING


def test_a_loss_without_a_floor_or_trials_tells_of_no_harm(sweep: Callable[..., LearningRateSweep]) -> None:
    moves = updates(a__weight=0.2, b__weight=0.2)
    endless = sweep(1.0, 2.0, best_score=-50.0)
    assert judged(rule, moves, MODEL, an_optimizer(), endless).findings[0].severity is Severity.INFO
    assert judged(rule, moves, MODEL, an_optimizer()).findings[0].severity is Severity.INFO


def test_pretrained_weights_may_move_little() -> None:
    run = Run("cpu", None, 50, pretrained=True)
    assert judged(rule, updates(a__weight=1e-6, b__weight=1e-6), MODEL, an_optimizer(), run).state is State.PASS
    assert judged(rule, updates(a__weight=0.3, b__weight=0.3), MODEL, an_optimizer(), run).state is State.FINDING


def test_where_it_says_nothing() -> None:
    moves = updates(a__weight=1e-6, b__weight=1e-6)
    assert judged(rule, moves, MODEL, an_optimizer(warming_up=True)).state is State.NOT_APPLICABLE
    assert judged(rule, moves, MODEL, an_optimizer("LBFGS", closure=True)).state is State.NOT_APPLICABLE
    early = replace(moves, by_parameter=tuple(replace(e, steps=e.steps // 10) for e in moves.by_parameter))
    assert judged(rule, early, MODEL, an_optimizer()).state is State.NOT_EXAMINED
