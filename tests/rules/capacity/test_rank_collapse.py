from __future__ import annotations

from dnndoctor.findings import Severity
from dnndoctor.rule import State
from dnndoctor.rules.capacity.rank_collapse import rank_collapse as rule
from tests.literals import judged
from tests.rules.saved import matrix, row

SOUND = (matrix("a.weight"), matrix("b.weight"))


def test_layers_of_one_direction() -> None:
    gone = (matrix("a.weight", rank=0.016, top=1.0), matrix("b.weight", rank=0.02, top=0.995))
    [found] = judged(rule, row(SOUND, gone)).findings
    assert (found.severity, found.subject) == (Severity.WARNING, "a.weight")
    assert (
        "the weights of a.weight, b.weight have lost rank by 1.pt (step 100): one direction holds 100.0%"
        in found.message
    )


def test_few_directions_as_decay_leaves_them_are_a_remark() -> None:
    [found] = judged(rule, row(SOUND, (matrix("a.weight", rank=0.04, top=0.19), matrix("b.weight")))).findings
    assert found.severity is Severity.INFO
    assert "4% of the directions of a.weight are left" in found.message


def test_near_misses() -> None:
    released = (matrix("a.weight", rank=0.21, top=0.91), matrix("b.weight", rank=0.35, top=0.88))
    assert judged(rule, row(released)).state is State.PASS
    assert judged(rule, row(SOUND, released)).state is State.PASS
    from_the_start = (matrix("a.weight", rank=0.02, top=1.0), matrix("b.weight", rank=0.02, top=1.0))
    assert judged(rule, row(from_the_start, from_the_start)).state is State.PASS  # another rule's: units alike
    assert judged(rule, row(from_the_start)).state is State.PASS  # nobody knows what it was
    one = (matrix("a.weight", rank=0.3, top=0.995), matrix("b.weight"), matrix("c.weight"))
    assert judged(rule, row((*SOUND, matrix("c.weight")), one)).state is State.PASS


def test_narrow_layers_are_not_judged() -> None:
    small = (matrix("a.weight", shape=(10, 64), rank=0.1, top=1.0),)
    assert judged(rule, row((matrix("a.weight", shape=(10, 64)),), small)).state is State.NOT_APPLICABLE
