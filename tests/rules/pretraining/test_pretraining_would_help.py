from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Run, WarmStart
from dnndoctor.rule import Result, State
from dnndoctor.rules.pretraining.pretraining_would_help import pretraining_would_help
from tests.rules.growths import MODEL, growth


def start(*warm: float) -> WarmStart:
    return WarmStart(np.asarray([1.0, 1.1, 0.9]), np.asarray(warm), 2.0, 80, 200)


def judge(*measured: Any, **thresholds: Any) -> Result:
    return pretraining_would_help.evaluate({type(each): each for each in (growth(), *measured)}, thresholds)


def test_a_warm_start_that_does_better() -> None:
    [found] = judge(start(0.8, 0.92, 0.68), growth()).findings
    assert found.severity is Severity.INFO
    assert found.location == MODEL
    assert "held-out loss of 0.8, from scratch to 1, in the same 80 steps" in found.message


@pytest.mark.parametrize(("gain", "state"), [(0.04, State.PASS), (0.06, State.FINDING)])
def test_a_gain_at_the_threshold(gain: float, state: State) -> None:
    assert judge(start(1.0 - gain, 1.1 - gain, 0.9 - gain)).state is state


def test_a_gain_inside_the_noise_passes() -> None:
    assert judge(start(0.99, 1.09, 0.3)).state is State.PASS
    assert judge(start(0.5, 0.6, 0.91)).state is State.PASS


def test_plenty_of_labels() -> None:
    assert judge(start(0.5, 0.6, 0.4), growth(samples=10_000)).state is State.NOT_APPLICABLE
    assert judge(start(0.5, 0.6, 0.4), growth(samples=9_999)).state is State.FINDING


def test_without_over_fitting_there_is_nothing_to_gain() -> None:
    assert judge(growth(grows=False)).state is State.NOT_APPLICABLE


def test_over_fitting_without_a_warm_start_is_not_examined() -> None:
    assert judge().state is State.NOT_EXAMINED


def test_weights_that_were_learned_elsewhere() -> None:
    learned = growth(restraints=("weights that were learned elsewhere",))
    assert judge(start(0.5, 0.6, 0.4), learned).state is State.NOT_APPLICABLE


def test_adversaries_are_not_judged() -> None:
    assert judge(start(0.5, 0.6, 0.4), Run("cpu", None, 50, family="gan")).state is State.NOT_APPLICABLE
