from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dnndoctor.changes import Unwrap
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Activation, Activations, ActivationStatistics, Clearing, Clearings, Weights
from dnndoctor.rule import Result, State
from dnndoctor.rules.learning_method.parameters_never_change import parameters_never_change
from tests.rules.said import changes

Make = Callable[..., Weights]
RECURRENT = ("lstm.weight_ih_l1_reverse", "lstm.weight_hh_l1_reverse")
STILL: dict[str, Any] = {"received_gradient": False}
CUT: dict[str, Any] = STILL | {"cut_by": "detach", "cut_at": Location("train.py", 14)}


def judge(*measured: Any, **thresholds: Any) -> Result:
    return parameters_never_change.evaluate({type(each): each for each in measured}, thresholds)


def activations(dead_share: float) -> Activations:
    history = (ActivationStatistics(9, 0.0, 0.0, 0.0, 0.0, dead_share=dead_share, pooled=500),)
    return Activations((Activation("relu", "relu", None, "hidden", 8, history=history),))


def test_the_operation_that_cuts_is_named_at_its_line(weights: Make) -> None:
    [found] = judge(weights(first=CUT)).findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 14)
    assert "fc1.weight, fc1.bias had no gradient in 50 steps: detach cuts" in found.message
    assert found.fix is not None
    assert "detach" in found.fix.summary


def test_without_an_operation_the_layer_is_the_place(weights: Make) -> None:
    [found] = judge(weights(first=STILL)).findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 5)


def test_each_place_gives_one_finding(weights: Make) -> None:
    assert len(judge(weights(first=CUT, second=CUT)).findings) == 1
    assert len(judge(weights(first=CUT, second=CUT | {"cut_by": "argmax"})).findings) == 2


def test_parameters_with_gradients_pass(weights: Make) -> None:
    assert judge(weights()).state is State.PASS


def test_a_head_that_no_pass_used_is_information(weights: Make) -> None:
    [found] = judge(weights(second=STILL | {"used": False})).findings
    assert found.severity is Severity.INFO


def test_steps_at_the_threshold(weights: Make) -> None:
    assert judge(weights(first=CUT | {"effective_steps": 3})).state is State.FINDING
    assert judge(weights(first=CUT | {"effective_steps": 2})).state is State.PASS


def test_a_rate_of_zero_throughout_is_not_examined(weights: Make) -> None:
    assert judge(weights(first={"effective_steps": 0}, second={"effective_steps": 0})).state is State.NOT_EXAMINED


def test_sparse_rows_are_not_judged(weights: Make) -> None:
    assert judge(weights(first=STILL | {"sparse": True})).state is State.PASS


def test_frozen_parameters_are_not_judged(weights: Make) -> None:
    assert judge(weights(first=STILL | {"trainable": False})).state is State.PASS


def test_what_no_optimizer_holds_is_not_applicable(weights: Make) -> None:
    out: dict[str, Any] = STILL | {"optimizer": None}
    assert judge(weights(first=out, second=out)).state is State.NOT_APPLICABLE


def test_behind_a_dead_layer_the_cause_is_elsewhere(weights: Make) -> None:
    assert judge(weights(first=STILL), activations(1.0)).state is State.NOT_EXAMINED
    assert judge(weights(first=STILL), activations(0.9)).state is State.FINDING


def test_behind_a_matrix_of_zeros_the_cause_is_elsewhere(weights: Make) -> None:
    zeros = {"constant": True, "max_abs": 0.0, "kind": "weight"}
    assert judge(weights(first=STILL, second=zeros)).state is State.NOT_EXAMINED


def test_a_cut_is_reported_even_behind_a_dead_layer(weights: Make) -> None:
    assert judge(weights(first=CUT), activations(1.0)).state is State.FINDING


def test_gradients_cleared_before_the_step_are_the_cause(weights: Make) -> None:
    cleared = Clearings((Clearing("Adam", 40, 0, 40, 1),))
    assert judge(weights(first=STILL, second=STILL), cleared).state is State.NOT_EXAMINED


def test_other_constants_excuse_nothing(weights: Make) -> None:
    for harmless in ({"constant": True, "max_abs": 1.0}, {"constant": True, "max_abs": 0.0, "kind": "norm"}):
        assert judge(weights(first=STILL, second=harmless)).state is State.FINDING


def test_recurrent_weights_that_meet_only_zeros_are_a_warning(weights: Make) -> None:
    layer = Weights(
        tuple(
            replace(each, module="lstm", name=name) for each, name in zip(weights().parameters, RECURRENT, strict=False)
        )
    )
    still = Weights(tuple(replace(each, **STILL) if "hh" in each.name else each for each in layer.parameters))
    [found] = judge(still).findings
    assert found.severity is Severity.WARNING
    assert "state of zeros" in found.message
    assert found.fix is not None
    assert "whole sequences" in found.fix.summary


def test_one_direction_of_two_is_another_rule_s(weights: Make) -> None:
    names = ("lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.weight_ih_l0_reverse", "lstm.weight_hh_l0_reverse")
    layer = [replace(each, module="lstm", name=n) for each, n in zip(weights().parameters, names, strict=True)]
    still = Weights((*layer[:3], replace(layer[3], **STILL)))
    assert judge(still).state is State.PASS
    neither = Weights((layer[0], replace(layer[1], **STILL), layer[2], replace(layer[3], **STILL)))
    assert judge(neither).state is State.FINDING


def test_recurrent_weights_cut_off_with_their_layer_are_an_error(weights: Make) -> None:
    layer = weights(first=STILL, second=STILL).parameters
    still = Weights(tuple(replace(each, module="lstm", name=n) for each, n in zip(layer, RECURRENT, strict=False)))
    [found] = judge(still).findings
    assert found.severity is Severity.ERROR


def test_a_gradient_of_zeros_is_no_missing_way(weights: Make) -> None:
    [found] = judge(weights(first=STILL | {"zero_gradient": True})).findings
    assert "was exactly zero in all of" in found.message
    assert "a way leads from them to the loss" in found.message


def blocks(weights: Make, *learns: bool) -> Weights:
    """Equal blocks: whether each one's weight had a gradient."""
    like = weights().parameters[0]
    named = [replace(like, name=f"blocks.{i}.edge.weight", received_gradient=each) for i, each in enumerate(learns)]
    return Weights(tuple(named))


def test_what_the_last_of_several_blocks_hands_on_is_information(weights: Make) -> None:
    [found] = judge(blocks(weights, True, True, False)).findings
    assert found.severity is Severity.INFO
    assert "the last of several blocks" in found.message


def test_a_block_in_the_middle_or_a_single_one_is_an_error(weights: Make) -> None:
    for learns in ((True, False, True), (False,), (False, False)):
        assert judge(blocks(weights, *learns)).findings[0].severity is Severity.ERROR


def test_a_detach_is_taken_away(weights: Make) -> None:
    assert changes(judge(weights(first=CUT))) == (Unwrap(at=Location("train.py", 14), of=("detach",), method=True),)
    assert changes(judge(weights(first=CUT | {"cut_by": "argmax"}))) == ()
