from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Severity
from dnndoctor.rule import State
from dnndoctor.rules.epochs.stopped_too_early import stopped_too_early as rule
from tests.literals import judged
from tests.rules.epochs.test_trained_past_best import validated


def test_a_loss_that_still_falls() -> None:
    [found] = judged(rule, validated(0.95 ** np.arange(8))).findings
    assert found.severity is Severity.INFO
    assert "still falls by 5.0% per evaluation as the run ends" in found.message


@pytest.mark.parametrize("losses", [0.995 ** np.arange(8), [1.0, 0.8, 0.9, 0.6], [0.5, 0.5, 0.5, 0.5]])
def test_a_loss_that_has_settled(losses: Any) -> None:
    assert judged(rule, validated(losses)).state is State.PASS


def test_where_it_says_nothing() -> None:
    assert judged(rule, validated(0.9 ** np.arange(8), complete=False)).state is State.NOT_EXAMINED
    assert judged(rule, validated([1.0, 0.5, 0.2])).state is State.NOT_EXAMINED
    assert judged(rule, validated([-1.0, -2.0, -3.0, -4.0])).state is State.NOT_APPLICABLE
