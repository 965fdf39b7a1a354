from collections.abc import Callable
from typing import Any

import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Activation, Activations, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.activation_functions.saturated_units import saturated_units

Site = Callable[..., Activation]


def judge(*sites: Activation, run: Run | None = None, **thresholds: Any) -> Result:
    return saturated_units.evaluate({Activations: Activations(sites)} | ({Run: run} if run else {}), thresholds)


def test_saturated_from_the_start(site: Site) -> None:
    [found] = judge(site("tanh", saturated_share=0.72)).findings
    assert found.severity is Severity.WARNING
    assert found.location == Location("train.py", 10)
    assert found.subject == "layers.0"
    assert "72%" in found.message
    assert found.fix is not None
    assert "xavier_uniform_(model.layers[0].weight)" in str(found.fix.code)


def test_saturated_by_training_asks_for_a_lower_rate(site: Site) -> None:
    [found] = judge(site("sigmoid", saturated_share=[0.0, 0.0, 0.1, 0.5, 0.6, 0.7])).findings
    assert found.fix is not None
    assert found.fix.summary == "Lower the learning rate"


@pytest.mark.parametrize(("share", "severity"), [(0.80, Severity.WARNING), (0.81, Severity.ERROR)])
def test_most_units_saturated_is_an_error(site: Site, share: float, severity: Severity) -> None:
    assert judge(site("tanh", saturated_share=share)).findings[0].severity is severity


@pytest.mark.parametrize(("share", "state"), [(0.27, State.PASS), (0.40, State.PASS), (0.41, State.FINDING)])
def test_the_threshold(site: Site, share: float, state: State) -> None:
    assert judge(site("tanh", saturated_share=share)).state is state


def test_the_threshold_can_be_set(site: Site) -> None:
    assert judge(site("tanh", saturated_share=0.3), share=0.2).state is State.FINDING


def test_a_share_that_training_brings_down_passes(site: Site) -> None:
    assert judge(site("tanh", saturated_share=[0.7, 0.7, 0.7, 0.5, 0.5, 0.5])).state is State.PASS


def test_confident_units_of_loaded_weights_pass_unless_they_rise(site: Site) -> None:
    loaded = Run("cpu", None, 50, pretrained=True)
    assert judge(site("tanh", saturated_share=0.7), run=loaded).state is State.PASS
    assert judge(site("tanh", saturated_share=[0.3, 0.3, 0.3, 0.6, 0.6, 0.6]), run=loaded).state is State.FINDING


@pytest.mark.parametrize("role", ["gate", "output"])
def test_gates_and_outputs_may_saturate(site: Site, role: str) -> None:
    assert judge(site("sigmoid", role=role, saturated_share=0.9)).state is State.NOT_APPLICABLE


def test_relu_is_not_applicable(site: Site) -> None:
    result = judge(site("relu"))
    assert (result.state, result.reason) == (State.NOT_APPLICABLE, "no sigmoid or tanh in a hidden layer")


def test_one_step_is_too_little(site: Site) -> None:
    result = judge(site("tanh", saturated_share=[0.9]))
    assert (result.state, result.reason) == (State.NOT_EXAMINED, "only 1 step was watched")


def test_one_finding_per_line_names_the_worst(site: Site) -> None:
    same_line = [site("tanh", layer=f"layers.{at}", saturated_share=share) for at, share in enumerate((0.5, 0.7, 0.6))]
    found = judge(*same_line, site("tanh", line=11, saturated_share=0.5)).findings
    assert [each.location.line for each in found if each.location] == [10, 11]
    assert found[0].subject == "layers.1"
    assert "worst of 3" in found[0].message
