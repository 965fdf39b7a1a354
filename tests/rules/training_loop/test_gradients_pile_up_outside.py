from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dnndoctor.changes import Rewrite, Safety
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import PiledGradient, PiledGradients, Weights
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_loop.gradients_pile_up_outside import gradients_pile_up_outside
from tests.literals import a_parameter, weights_of
from tests.rules.said import changes

CALL = Location("train.py", 25)
TARGET = PiledGradient("target", np.array([1, 4, 20]), np.array([0.1, 0.4, 2.0]), 900, "Net", call=CALL)


def judge(*models: PiledGradient, **thresholds: Any) -> Result:
    return gradients_pile_up_outside.evaluate({PiledGradients: PiledGradients(models)}, thresholds)


def test_a_target_network_is_found_where_it_is_called() -> None:
    [found] = judge(TARGET).findings
    assert (found.severity, found.location, found.subject) == (Severity.WARNING, CALL, "target")
    assert "grew from 0.1 to 2 within 20 steps" in found.message


def test_a_backbone_that_was_left_out_is_another_rule_s_matter() -> None:
    assert judge(replace(TARGET, copy_of=None)).state is State.PASS


def test_gradients_that_are_cleared_pass() -> None:
    assert judge(replace(TARGET, norm=np.array([0.2, 0.1, 0.3]))).state is State.PASS
    assert judge(replace(TARGET, norm=np.array([0.1, 0.4, 0.4]))).state is State.PASS


def test_at_the_thresholds() -> None:
    assert judge(replace(TARGET, norm=np.array([0.1, 0.15, 0.19]))).state is State.PASS
    assert judge(replace(TARGET, norm=np.array([0.1, 0.15, 0.2]))).state is State.FINDING
    assert judge(replace(TARGET, norm=np.array([0.1, 0.2]), step=np.array([1, 4]))).state is State.PASS


def test_without_such_a_model_there_is_nothing_to_judge() -> None:
    assert judge().state is State.NOT_APPLICABLE


def test_the_target_is_detached_unless_it_is_what_should_be_trained() -> None:
    assert changes(judge(TARGET)) == (Rewrite("{it}.detach()", at=CALL, safety=Safety.SAFE),)
    wrong = weights_of(a_parameter(optimizer=0, received_gradient=False), a_parameter("b", optimizer=None))
    measured = {PiledGradients: PiledGradients((TARGET,)), Weights: wrong}
    assert changes(gradients_pile_up_outside.evaluate(measured)) == ()
