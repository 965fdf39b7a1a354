from __future__ import annotations

import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Run, Waits
from dnndoctor.rule import State
from dnndoctor.rules.visualisation.loss_synced_every_step import loss_synced_every_step as rule
from tests.literals import HERE, judged

GPU = Run("cuda", "a GPU", 50)


def test_a_wait_in_every_step() -> None:
    [found] = judged(rule, GPU, Waits(50, 50, 0.3, (HERE,))).findings
    assert (found.severity, found.location) == (Severity.INFO, HERE)
    assert "in 50 of 50 steps the loop waits for the accelerator, 30% of the time" in found.message


@pytest.mark.parametrize(
    ("waits", "state"),
    [
        (Waits(45, 50, 0.05), State.FINDING),
        (Waits(44, 50, 0.3), State.PASS),
        (Waits(50, 50, 0.04), State.PASS),
        (Waits(9, 9, 0.3), State.NOT_EXAMINED),
    ],
)
def test_the_thresholds(waits: Waits, state: State) -> None:
    assert judged(rule, GPU, waits).state is state


def test_on_a_cpu_nothing_waits() -> None:
    assert judged(rule, Run("cpu", None, 50), Waits(50, 50, 0.3)).state is State.NOT_APPLICABLE
    assert judged(rule, GPU).state is State.NOT_EXAMINED
