from __future__ import annotations

from dnndoctor.findings import Severity
from dnndoctor.measurements import SavedTensor, Snapshot, Snapshots
from dnndoctor.rule import Result, State
from dnndoctor.rules.learning_method.weights_stand_still import weights_stand_still as rule
from tests.literals import judged


def saved(name: str, moved: float | None) -> SavedTensor:
    return SavedTensor(name, (4, 4), 1.0, 0.0, 0.1, 0.3, 0, 0.0, moved, None if moved is None else 1.0)


def of(moves: dict[str, float], held: int | None = None) -> Result:
    first = Snapshot("a.pt", 10, tuple(saved(name, None) for name in moves))
    return judged(rule, Snapshots((first, Snapshot("b.pt", 20, tuple(saved(*each) for each in moves.items()), held))))


def test_a_layer_that_stood_still_while_the_optimizer_held_it() -> None:
    [found] = of({"body.weight": 0.1, "head.weight": 0.0}, held=2).findings
    assert (found.severity, found.subject) == (Severity.WARNING, "head.weight")
    assert "head.weight did not change at all from a.pt (step 10) to b.pt (step 20)" in found.message


def test_frozen_ones_are_only_mentioned() -> None:
    [found] = of({"body.weight": 0.1, "head.weight": 0.0}, held=1).findings
    assert found.severity is Severity.INFO


def test_buffers_and_all_that_moves_are_sound() -> None:
    assert of({"a.weight": 0.1, "b.weight": 0.1, "n.running_mean": 0.0}).state is State.PASS


def test_where_it_says_nothing() -> None:
    assert of({"a.weight": 0.0, "b.weight": 0.0}).state is State.NOT_APPLICABLE
    assert judged(rule, Snapshots((Snapshot("a.pt", 10, ()),))).state is State.NOT_EXAMINED
