from __future__ import annotations

from dnndoctor.changes import InsertAfter
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import FrozenNorms, Modes, Origins, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.pretraining.frozen_batchnorm_in_train import frozen_batchnorm_in_train
from tests.rules.said import changes, only

TRAIN = Location("train.py", 31)


def judge(*norms: FrozenNorms, mode_layers: bool = True, family: str = "fine-tuning", fewest: int = 1) -> Result:
    measured = {
        Origins: Origins(frozen_norms=norms),
        Modes: Modes((), mode_layers),
        Run: Run("cpu", None, 50, family=family),
    }
    return frozen_batchnorm_in_train.evaluate(measured, {"fewest": fewest})


def test_frozen_norms_that_move_are_found_where_training_mode_was_set() -> None:
    [found] = judge(FrozenNorms("Net", ("stem.1", "stem.4"), TRAIN)).findings
    assert found.severity is Severity.WARNING
    assert found.location == TRAIN
    assert "2 frozen batch norms of Net still update the running statistics" in found.message


def test_the_number_of_norms_at_the_threshold() -> None:
    one = FrozenNorms("Net", ("stem.1",), TRAIN)
    assert judge(one).state is State.FINDING
    assert judge(one, fewest=2).state is State.PASS


def test_norms_that_stand_still_pass() -> None:
    assert judge().state is State.PASS


def test_a_model_without_norms_is_not_judged() -> None:
    assert judge(mode_layers=False).state is State.NOT_APPLICABLE


def test_adversaries_and_delayed_copies_are_not_judged() -> None:
    moving = FrozenNorms("Net", ("stem.1",), TRAIN)
    assert judge(moving, family="gan").state is State.NOT_APPLICABLE
    assert judge(moving, family="reinforcement").state is State.NOT_APPLICABLE


def test_the_norms_are_switched_behind_the_call() -> None:
    change = only(judge(FrozenNorms("Net", ("stem.1", "stem.4"), TRAIN)))
    assert isinstance(change, InsertAfter)
    assert (change.at, change.of) == (TRAIN, ("train",))
    assert change.code == "{0}.stem[1].eval()\n{0}.stem[4].eval()"
    assert changes(judge(FrozenNorms("Net", tuple("abcde"), TRAIN))) == ()
