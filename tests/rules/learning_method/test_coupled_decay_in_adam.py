from __future__ import annotations

from typing import Any

import pytest

from dnndoctor.changes import Rename, SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Groups, Optimizers
from dnndoctor.rule import State
from dnndoctor.rules.learning_method.coupled_decay_in_adam import coupled_decay_in_adam as rule
from tests.literals import an_optimizer, judged, the_groups
from tests.rules.said import changes


def test_adam_with_a_decay_is_told() -> None:
    [found] = judged(rule, the_groups(decay=1e-4), an_optimizer("Adam", 1e-3)).findings
    assert (found.severity, found.location) == (Severity.INFO, Location("train.py", 20))
    assert found.fix is not None
    assert found.fix.code == "torch.optim.AdamW(model.parameters(), lr=0.001, weight_decay=0.01)"


def test_a_relative_has_a_switch_of_its_own() -> None:
    [found] = judged(rule, the_groups(decay=1e-4), an_optimizer("NAdam", 1e-3)).findings
    assert found.fix is not None
    assert "decoupled_weight_decay=True" in str(found.fix.code)


@pytest.mark.parametrize("sound", [{"decay": 0.0}, {"decay": 0.1, "decoupled": True}, {"decay": 0.1, "library": False}])
def test_without_or_decoupled_or_of_the_user_s_own(sound: dict[str, Any]) -> None:
    assert judged(rule, the_groups(**sound), an_optimizer("Adam")).state is State.PASS


def test_others_are_not_meant() -> None:
    assert judged(rule, the_groups(decay=0.1), an_optimizer("SGD")).state is State.NOT_APPLICABLE


def test_the_twin_takes_over_with_a_decay_of_its_own() -> None:
    decay, name = changes(judged(rule, the_groups(decay=1e-4), an_optimizer("Adam", 1e-3)))
    assert isinstance(decay, SetArgument)
    assert (decay.name, decay.value, decay.position) == ("weight_decay", "0.01", 4)
    assert name == Rename("AdamW", at=Location("train.py", 20), of=("Adam",))
    [switch] = changes(judged(rule, the_groups(decay=1e-4), an_optimizer("NAdam", 1e-3)))
    assert isinstance(switch, SetArgument)
    assert switch.name == "decoupled_weight_decay"
    assert changes(judged(rule, the_groups(decay=1e-4), an_optimizer("Adamax", 1e-3))) == ()


def test_an_optimizer_that_is_built_anew_for_each_trial_is_told_once() -> None:
    one, held = an_optimizer("Adam", 1e-3), the_groups(decay=1e-4)
    again, groups = Optimizers(one.all * 3), Groups(held.optimizers * 3)
    assert len(judged(rule, groups, again).findings) == 1
