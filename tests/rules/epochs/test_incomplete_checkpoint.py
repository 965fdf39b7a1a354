from __future__ import annotations

from dataclasses import replace

import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Habits, Saved
from dnndoctor.rule import State
from dnndoctor.rules.epochs.incomplete_checkpoint import incomplete_checkpoint as rule
from tests.literals import HERE, NO_HABITS, NO_SCHEDULE, a_schedule, judged


def saving(what: str = "model.state_dict()", in_loop: bool = True, conditional: bool = False) -> Habits:
    return replace(NO_HABITS, saved=(Saved(what, in_loop, conditional, HERE),))


def test_a_model_alone_each_epoch() -> None:
    [found] = judged(rule, saving(), NO_SCHEDULE).findings
    assert (found.severity, found.location) == (Severity.INFO, HERE)
    assert found.message == "the checkpoint of each period holds no state of the optimizer"
    [found] = judged(rule, saving(), a_schedule()).findings
    assert found.message.endswith("no state of the optimizer and the scheduler")


@pytest.mark.parametrize(
    "sound",
    [
        saving(in_loop=False),
        saving(conditional=True),
        saving("{'model': model.state_dict(), 'optimizer': optimizer.state_dict()}"),
        saving("results"),
    ],
)
def test_exports_and_whole_checkpoints_are_sound(sound: Habits) -> None:
    assert judged(rule, sound, NO_SCHEDULE).state is State.PASS


def test_without_a_save() -> None:
    assert judged(rule, NO_HABITS, NO_SCHEDULE).state is State.NOT_APPLICABLE


@pytest.mark.parametrize("name", ["scheduler", "lr_sched"])
def test_a_scheduler_that_is_saved_lacks_nothing(name: str) -> None:
    what = f"{{'model': model.state_dict(), '{name}': {name}.state_dict()}}"
    [found] = judged(rule, saving(what), a_schedule()).findings
    assert found.message.endswith("no state of the optimizer")


def test_states_in_files_of_their_own() -> None:
    files = (
        Saved("model.state_dict()", True, False, HERE),
        Saved("optimizer.state_dict()", True, False, HERE),
        Saved("scheduler.state_dict()", True, False, HERE),
    )
    assert judged(rule, replace(NO_HABITS, saved=files), a_schedule()).state is State.PASS
