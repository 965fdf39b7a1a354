from __future__ import annotations

import pytest

from dnndoctor.changes import InsertBefore, SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Group, Groups, OptimizerGroups
from dnndoctor.rule import State
from dnndoctor.rules.learning_method.decay_on_norm_and_bias import decay_on_norm_and_bias as rule
from tests.literals import a_parameter, an_optimizer, judged, the_groups, weights_of
from tests.rules.said import changes

MODEL = weights_of(a_parameter(), a_parameter("fc.bias", "bias"), a_parameter("ln.weight", "norm"))
NAMES = ("fc.weight", "fc.bias", "ln.weight")


def test_norm_weights_and_biases_are_counted() -> None:
    place = Location("train.py", 20, 60)
    groups = the_groups(decay=0.1, names=NAMES, decay_location=place)
    [found] = judged(rule, groups, MODEL, an_optimizer("AdamW")).findings
    assert (found.severity, found.location) == (Severity.INFO, place)
    assert found.message == "weight decay 0.1 is applied to 2 norm weights and biases: fc.bias, ln.weight"


@pytest.mark.parametrize(("decay", "state"), [(1e-3, State.FINDING), (9e-4, State.PASS), (0.0, State.NOT_APPLICABLE)])
def test_the_threshold(decay: float, state: State) -> None:
    assert judged(rule, the_groups(decay=decay, names=NAMES), MODEL, an_optimizer()).state is state


def test_two_groups_are_sound() -> None:
    groups = Groups(
        (
            OptimizerGroups(
                (Group(NAMES[:1], 32, 0.1, 0.1), Group(NAMES[1:], 16, 0.1, 0.0)), the_groups().optimizers[0].rates
            ),
        )
    )
    assert judged(rule, groups, MODEL, an_optimizer()).state is State.PASS


def test_a_group_of_norms_with_a_decay_was_made_on_purpose() -> None:
    assert judged(rule, the_groups(decay=0.1, names=NAMES[1:]), MODEL, an_optimizer()).state is State.PASS


def test_biases_alone_are_not_worth_a_word() -> None:
    assert judged(rule, the_groups(decay=0.1, names=NAMES[:2]), MODEL, an_optimizer()).state is State.PASS


def test_two_groups_are_made() -> None:
    lines, given = changes(judged(rule, the_groups(decay=0.1, names=NAMES), MODEL, an_optimizer("AdamW")))
    assert isinstance(lines, InsertBefore)
    assert lines.code.count("for p in model.parameters()") == 2
    assert isinstance(given, SetArgument)
    assert given.value == '[{"params": decayed}, {"params": undecayed, "weight_decay": 0.0}]'


def test_what_is_in_no_optimizer_is_not_put_there() -> None:
    part = weights_of(*MODEL.parameters, a_parameter("other.weight", optimizer=None))
    assert changes(judged(rule, the_groups(decay=0.1, names=NAMES), part, an_optimizer("AdamW"))) == ()
