from __future__ import annotations

from dataclasses import replace

from dnndoctor.changes import MoveBehind, SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Clearing, Clearings
from dnndoctor.rule import State
from dnndoctor.rules.learning_method.rate_not_applied import rate_not_applied as rule
from tests.literals import HERE, NO_HABITS, NO_SCHEDULE, a_schedule, an_optimizer, judged, the_groups
from tests.rules.said import changes, only, options

IDLE = replace(NO_HABITS, idle_rates=(("lr", HERE),))


def test_a_scheduler_of_an_old_optimizer() -> None:
    [found] = judged(rule, an_optimizer(), the_groups(), a_schedule(optimizer=None, others=2), NO_HABITS).findings
    assert (found.severity, found.location) == (Severity.WARNING, Location("train.py", 21))
    assert "StepLR changes the rate of an optimizer that does not step" in found.message


def test_a_scheduler_whose_optimizer_was_replaced_needs_no_call() -> None:
    schedule = a_schedule(optimizer=None, replaced=True, calls=0)
    assert judged(rule, an_optimizer(), the_groups(), schedule, NO_HABITS).state is State.FINDING


def test_a_scheduler_of_the_optimizer_that_steps_is_sound() -> None:
    assert judged(rule, an_optimizer(), the_groups(), a_schedule(), NO_HABITS).state is State.PASS
    # Its optimizer has its turn later, on other parameters.
    assert judged(rule, an_optimizer(), the_groups(), a_schedule(optimizer=None), NO_HABITS).state is State.PASS


def test_an_attribute_that_no_optimizer_has() -> None:
    habits = replace(NO_HABITS, rate_attributes=(("optimizer.lr", HERE),))
    [found] = judged(rule, an_optimizer(), the_groups(), NO_SCHEDULE, habits).findings
    assert found.location == HERE
    assert found.message == "optimizer.lr is written, but no step reads it: the rate of SGD stays 0.1"


def test_a_key_that_no_step_reads_whatever_its_line() -> None:
    groups = the_groups(odd_keys=("learning_rate",))
    [found] = judged(rule, an_optimizer(), groups, NO_SCHEDULE, NO_HABITS).findings
    assert found.location == Location("train.py", 20)


def test_a_variable_that_nothing_reads() -> None:
    [found] = judged(rule, an_optimizer(), the_groups(), NO_SCHEDULE, IDLE).findings
    assert found.location == HERE
    assert found.fix is not None
    assert "group['lr'] = lr" in str(found.fix.code)


def test_where_the_rate_changes_all_the_same_the_variable_is_for_something_else() -> None:
    moving = the_groups([[0.1], [0.05]])
    assert judged(rule, an_optimizer(), moving, NO_SCHEDULE, IDLE).findings == ()
    assert judged(rule, an_optimizer(), the_groups(), a_schedule(), IDLE).state is State.PASS
    written = replace(IDLE, writes_rate=HERE)
    assert judged(rule, an_optimizer(), the_groups(), NO_SCHEDULE, written).state is State.PASS


def test_a_constant_rate_is_meant() -> None:
    assert judged(rule, an_optimizer(), the_groups(), NO_SCHEDULE, NO_HABITS).state is State.NOT_APPLICABLE
    assert judged(rule, an_optimizer(), the_groups(), NO_SCHEDULE).state is State.NOT_EXAMINED


def test_the_scheduler_is_built_on_the_optimizer_that_steps() -> None:
    old = a_schedule(optimizer=None, others=2)
    named = Clearings((Clearing("SGD", 49, 0, 0, 1, variable="opt"),))
    first, _, last = options(only(judged(rule, an_optimizer(), the_groups(), old, NO_HABITS, named)))
    assert first == (SetArgument("optimizer", "opt", position=0, at=Location("train.py", 21), of=("StepLR",)),)
    assert last == (MoveBehind("opt", at=Location("train.py", 21)),)
    assert changes(judged(rule, an_optimizer(), the_groups(), old, NO_HABITS)) == ()
