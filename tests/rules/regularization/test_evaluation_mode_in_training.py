from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dnndoctor.changes import InsertBefore, Loop, Safety
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Mode, Modes, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.regularization.evaluation_mode_in_training import evaluation_mode_in_training
from tests.rules.said import only

PASS, EVAL, ELSEWHERE = Location("train.py", 22), Location("train.py", 30), Location("train.py", 26)
LAYERS = ("drop1", "bn1")


def judge(*measured: Any, **thresholds: Any) -> Result:
    return evaluation_mode_in_training.evaluate({type(each): each for each in measured}, thresholds)


def mode(**changes: Any) -> Mode:
    given: dict[str, Any] = {
        "purpose": "training",
        "passes": 40,
        "training_mode": False,
        "location": PASS,
        "inactive": LAYERS,
        "inactive_trained": LAYERS,
        "eval_location": EVAL,
    }
    return Mode("Net", **(given | changes))


def modes(*more: Mode, **changes: Any) -> Modes:
    return Modes((mode(**changes), *more), mode_layers=True)


def in_training_mode(location: Location) -> Mode:
    return Mode("Net", "training", 10, True, location, active=LAYERS)


def test_training_in_evaluation_mode_is_found_where_it_was_switched() -> None:
    [found] = judge(modes()).findings
    assert found.severity is Severity.ERROR
    assert found.location == EVAL
    assert "Net was trained for 40 passes with 2 layers in evaluation mode: drop1, bn1" in found.message
    assert found.fix is not None
    assert "model.train()" in str(found.fix.code)


def test_without_a_switch_the_pass_is_the_place() -> None:
    assert judge(modes(eval_location=None)).findings[0].location == PASS


def test_a_first_epoch_in_training_mode_does_not_excuse_the_others() -> None:
    assert judge(modes(in_training_mode(PASS))).state is State.FINDING


def test_training_in_training_mode_passes() -> None:
    sound = modes(training_mode=True, active=LAYERS, inactive=(), inactive_trained=(), eval_location=None)
    assert judge(sound).state is State.PASS


def test_frozen_layers_pass() -> None:
    assert judge(modes(inactive_trained=())).state is State.PASS
    assert judge(modes(trainable=False)).state is State.PASS


@pytest.mark.parametrize(("active", "state"), [(("drop1",), State.PASS), ((), State.FINDING)])
def test_batch_norm_of_a_pretrained_model_may_be_frozen_alone(active: tuple[str, ...], state: State) -> None:
    run = Run("cpu", None, 50, pretrained=True)
    assert judge(modes(active=active, inactive_trained=("bn1",)), run).state is state


def test_adversarial_passes_beside_the_training_pass() -> None:
    assert judge(modes(in_training_mode(ELSEWHERE))).state is State.PASS


def test_passes_at_the_threshold() -> None:
    assert judge(modes(passes=2)).state is State.NOT_EXAMINED
    assert judge(modes(passes=3)).state is State.FINDING


def test_adversaries_are_not_judged() -> None:
    assert judge(modes(), Run("cpu", None, 50, family="gan")).state is State.NOT_APPLICABLE


def test_a_model_without_such_layers_is_not_judged() -> None:
    assert judge(Modes((mode(),), mode_layers=False)).state is State.NOT_APPLICABLE


@pytest.mark.parametrize(("loader", "loop"), [(True, Loop()), (False, None)])
def test_training_mode_is_switched_on_before_the_loop_over_batches(loader: bool, loop: Loop | None) -> None:
    change = only(judge(modes(training_data=loader)))
    assert change == InsertBefore("{callee}.train()", at=PASS, loop=loop, safety=Safety.SAFE)


def test_a_part_that_is_frozen_by_hand_in_loaded_weights_is_meant() -> None:
    """The backbone's norms in evaluation mode, the head's dropout in training mode."""
    partly = modes(inactive_trained=("bn1",), active=("drop1",))
    assert judge(partly, Run("cpu", None, 50, pretrained=True)).state is State.PASS
    assert judge(partly, Run("cpu", None, 50)).state is State.FINDING
    assert judge(modes(), Run("cpu", None, 50, pretrained=True)).state is State.FINDING


def test_a_few_passes_of_one_place_are_a_look_and_no_training() -> None:
    aside = mode(passes=2, location=ELSEWHERE, eval_location=ELSEWHERE)
    trained = replace(in_training_mode(PASS), passes=40)
    assert judge(Modes((trained, aside), mode_layers=True)).state is State.PASS


def test_modes_of_functions_are_not_followed() -> None:
    assert judge(Modes((), mode_layers=False, functional=True)).state is State.NOT_EXAMINED
    assert judge(Modes((), mode_layers=False)).state is State.NOT_APPLICABLE
