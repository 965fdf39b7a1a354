from __future__ import annotations

from typing import Any

import numpy as np

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import BlankedInputs, FoundModel, Run, TrainingLoop, TrainingNoise
from dnndoctor.rule import Result, State
from dnndoctor.rules.capacity.input_independent import input_independent

LOOP = TrainingLoop("supervised", "", (FoundModel("model", "Net", 100, 100, Location("train.py", 12)),))


def judge(*more: Any, **changes: Any) -> Result:
    """A model that learns the shares of ten classes and nothing else."""
    given = {"rate": 0.01, "steps": 40, "start": 2.5, "real": 2.29, "blank": 2.3, "gap_error": 0.01}
    blanked = BlankedInputs(**(given | {"change": 0.0, "paired": True} | changes))
    return input_independent.evaluate({BlankedInputs: blanked, TrainingLoop: LOOP, **{type(m): m for m in more}})


def test_outputs_that_never_change_are_an_error() -> None:
    [found] = judge().findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 12)
    assert "model gives the same output for every input, and learns as well from zeros" in found.message


def test_the_least_use_of_the_input_is_sound() -> None:
    assert judge(change=3.1e-4).state is State.PASS
    assert judge(change=2.9e-4).state is State.FINDING
    assert judge(change=2.9e-4, blank=2.3, real=2.3).state is State.FINDING


def test_a_model_that_learns_more_from_the_data_than_from_zeros_uses_them() -> None:
    assert judge(blank=2.33).state is State.FINDING
    assert judge(blank=2.35).state is State.PASS
    assert judge(TrainingNoise(0.01, (1.0, 1.2), 0.2), blank=2.6).state is State.FINDING


def test_what_cannot_be_told() -> None:
    assert judge(change=None).state is State.NOT_EXAMINED
    assert judge(real=np.inf).state is State.NOT_EXAMINED
    assert judge(real=0.1, blank=0.1).state is State.NOT_EXAMINED


def test_a_generator_has_no_input() -> None:
    assert judge(Run("cpu", None, 50, family="gan")).state is State.NOT_APPLICABLE


def test_a_model_that_picks_codes_is_not_judged() -> None:
    """A codebook drawn close to zero gives all inputs the same code at first."""
    assert judge(quantized=True).state is State.NOT_EXAMINED
