from __future__ import annotations

from dataclasses import replace

import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Plan
from dnndoctor.rule import State
from dnndoctor.rules.learning_rate.no_decay import no_decay as rule
from tests.literals import HERE, NO_HABITS, NO_SCHEDULE, a_plan, a_schedule, an_optimizer, judged, the_groups


def test_a_long_run_at_one_rate_is_told() -> None:
    [found] = judged(rule, a_plan(), an_optimizer(), NO_SCHEDULE, the_groups(), NO_HABITS).findings
    assert found.severity is Severity.INFO
    assert found.message == "the rate stays 0.1 for 30 epochs"
    assert found.location == Location("train.py", 20, 48)
    assert found.fix is not None
    assert found.fix.code == "scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=30)"


@pytest.mark.parametrize(
    ("plan", "state"),
    [
        (a_plan(20), State.PASS),
        (a_plan(21), State.FINDING),
        (Plan(None, None, 50_000), State.PASS),
        (Plan(None, None, 50_001), State.FINDING),
        (Plan(None, None, None), State.NOT_EXAMINED),
    ],
)
def test_the_thresholds(plan: Plan, state: State) -> None:
    assert judged(rule, plan, an_optimizer(), NO_SCHEDULE, the_groups(), NO_HABITS).state is state


def test_a_rate_that_changes_is_sound() -> None:
    plan, main = a_plan(), an_optimizer()
    assert judged(rule, plan, main, a_schedule(), the_groups(), NO_HABITS).state is State.PASS
    assert judged(rule, plan, main, NO_SCHEDULE, the_groups([[0.1], [0.09]]), NO_HABITS).state is State.PASS
    written = replace(NO_HABITS, writes_rate=HERE)
    assert judged(rule, plan, main, NO_SCHEDULE, the_groups(), written).state is State.PASS
    meant = replace(NO_HABITS, idle_rates=(("lr", HERE),))
    assert judged(rule, plan, main, NO_SCHEDULE, the_groups(), meant).state is State.PASS


def test_an_optimizer_that_needs_none() -> None:
    result = judged(rule, a_plan(), an_optimizer("AdamWScheduleFree"), NO_SCHEDULE, the_groups(), NO_HABITS)
    assert result.state is State.NOT_APPLICABLE
