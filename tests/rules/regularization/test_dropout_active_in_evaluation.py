from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dnndoctor.changes import InsertAfter, InsertBefore, Rewrite, SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Clearing, Clearings, LooseDropout, LooseDropouts, Mode, Modes, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.regularization.dropout_active_in_evaluation import dropout_active_in_evaluation
from tests.rules.said import changes, only, options

HERE = Location("train.py", 31)


def judge(*measured: Any, **thresholds: Any) -> Result:
    return dropout_active_in_evaluation.evaluate({type(each): each for each in measured}, thresholds)


def modes(**changes: Any) -> Modes:
    given: dict[str, Any] = {
        "purpose": "evaluation",
        "passes": 4,
        "training_mode": True,
        "location": HERE,
        "gradients": False,
        "active": ("drop1", "bn1"),
    }
    training = Mode("Net", "training", 50, True, Location("train.py", 22), active=("drop1", "bn1"))
    return Modes((training, Mode("Net", **(given | changes))), mode_layers=True)


def test_an_evaluation_in_training_mode_is_found() -> None:
    [found] = judge(modes()).findings
    assert found.severity is Severity.ERROR
    assert found.location == HERE
    assert "Net was evaluated 4 times with 2 layers in training mode: drop1, bn1" in found.message
    assert found.fix is not None
    assert "model.eval()" in str(found.fix.code)


def test_gradients_on_over_evaluation_data_is_found_too() -> None:
    assert judge(modes(gradients=True)).state is State.FINDING


def test_passes_from_one_place_are_one_finding() -> None:
    twice = modes()
    [found] = judge(Modes((*twice.passes, twice.passes[1]), mode_layers=True)).findings
    assert "8 times" in found.message


def test_an_evaluation_in_evaluation_mode_passes() -> None:
    assert judge(modes(training_mode=False, active=(), inactive=("drop1", "bn1"))).state is State.PASS


@pytest.mark.parametrize(
    "sound",
    [{"same_input": True}, {"trainable": False}, {"gradients": True, "training_data": True}],
    ids=["monte-carlo-dropout", "teacher", "training-data-with-gradients"],
)
def test_sound_passes_in_training_mode(sound: dict[str, Any]) -> None:
    assert judge(modes(**sound)).state is State.PASS


@pytest.mark.parametrize("meant", [{"training_data": True}, {"inactive": ("bn1",), "active": ("drop1",)}])
def test_what_may_be_meant_is_information(meant: dict[str, Any]) -> None:
    [found] = judge(modes(**meant)).findings
    assert found.severity is Severity.INFO


@pytest.mark.parametrize("family", ["gan", "reinforcement"])
def test_families_with_passes_without_an_update(family: str) -> None:
    assert judge(modes(), Run("cpu", None, 50, family=family)).state is State.NOT_APPLICABLE


def test_passes_at_the_threshold() -> None:
    assert judge(modes(passes=4), fewest=4).state is State.FINDING
    assert judge(modes(passes=4), fewest=5).state is State.PASS


def test_a_model_without_such_layers_is_not_judged() -> None:
    assert judge(Modes(modes().passes, mode_layers=False)).state is State.NOT_APPLICABLE


def test_no_evaluation_is_not_examined() -> None:
    assert judge(Modes(modes().passes[:1], mode_layers=True)).state is State.NOT_EXAMINED


def loose(evaluation: int, layer: bool = False) -> LooseDropouts:
    return LooseDropouts((LooseDropout("dropout", 0.3, "Net", HERE, layer, 50, evaluation),))


@pytest.mark.parametrize(("evaluation", "severity"), [(4, Severity.ERROR), (0, Severity.INFO)])
def test_a_dropout_that_no_mode_reaches(evaluation: int, severity: Severity) -> None:
    [found] = judge(Modes((), mode_layers=False, functional=True), loose(evaluation)).findings
    assert found.severity is severity
    assert found.location == HERE
    assert "dropout without the argument training" in found.message
    assert "training=self.training" in str(found.fix)


def test_a_layer_that_the_pass_builds_is_told_once() -> None:
    [found] = judge(modes(active=("Dropout",)), loose(4, layer=True)).findings
    assert "a new dropout layer" in found.message
    assert "in __init__" in str(found.fix)


def test_both_kinds_of_fault_are_told() -> None:
    assert len(judge(modes(), loose(4)).findings) == 2


def test_the_mode_is_switched_around_the_evaluation() -> None:
    backward = Location("train.py", 24, 5)
    clearings = Clearings((Clearing("SGD", 50, 0, 0, 1, backward_location=backward),))
    [[off, on], [_, again]] = options(only(judge(modes(), clearings)))
    assert isinstance(off, InsertBefore)
    assert isinstance(on, InsertAfter)
    assert (off.code, off.at, on.code, on.unless) == ("{callee}.eval()", HERE, "{callee}.train()", "train")
    assert off.loop is not None
    assert off.loop.without == (backward,)
    assert isinstance(again, InsertBefore)
    assert again.at == Location("train.py", 22)
    assert changes(judge(modes())) == ()


def test_the_mode_reaches_a_loose_dropout() -> None:
    call = LooseDropout("dropout", 0.3, "Net", HERE, evaluation=4)
    change = only(judge(modes(), LooseDropouts((call,))))
    assert isinstance(change, SetArgument)
    assert (change.name, change.value, change.position) == ("training", "self.training", 2)
    layer = LooseDropout("dropout", 0.3, "Net", HERE, layer=True, evaluation=4)
    change = only(judge(modes(), LooseDropouts((layer,))))
    assert isinstance(change, Rewrite)
    assert change.template == "torch.nn.functional.dropout({0}, 0.3, self.training)"
    assert "Dropout()" in change.of


def test_modes_of_functions_are_not_followed() -> None:
    nothing = Modes((), mode_layers=False, functional=True)
    assert judge(nothing).state is State.NOT_EXAMINED
    assert judge(replace(nothing, functional=False)).state is State.NOT_APPLICABLE
