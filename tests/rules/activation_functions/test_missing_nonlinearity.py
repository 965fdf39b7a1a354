from typing import Any

import pytest

from dnndoctor.changes import InsertItem, Rewrite
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import LinearPair, Run, Wiring
from dnndoctor.rule import Result, State
from dnndoctor.rules.activation_functions.missing_nonlinearity import missing_nonlinearity
from tests.rules.said import changes


def pair(inputs: int = 64, inner: int = 64, outputs: int = 10, **changes: Any) -> LinearPair:
    given: dict[str, Any] = {"first": "fc1", "second": "fc2", "location": Location("train.py", 20, 13)} | changes
    return LinearPair(inputs=inputs, inner=inner, outputs=outputs, **given)


def judge(*pairs: LinearPair, affine: int = 4, **thresholds: Any) -> Result:
    return missing_nonlinearity.evaluate({Wiring: Wiring(pairs, affine=affine)}, thresholds)


def test_two_linear_layers_with_nothing_between() -> None:
    [found] = judge(pair()).findings
    assert found.severity is Severity.WARNING
    assert found.location == Location("train.py", 20, 13)
    assert found.subject == "fc1"
    assert "64 to 64 to 10 features can do no more than 64 to 10" in found.message


def test_a_network_without_any_activation() -> None:
    both = judge(pair(location=None), pair(first="fc2", second="fc3", location=Location("train.py", 21)), affine=3)
    assert len(both.findings) == 2
    assert all("the 3 layers are one linear map" in each.message for each in both.findings)


def test_pairs_of_one_line_are_one_finding() -> None:
    [found] = judge(pair(), pair(first="fc2", second="fc3"), affine=6).findings
    assert "1 more such pairs" in found.message


@pytest.mark.parametrize(("inner", "expected"), [(9, State.PASS), (10, State.FINDING)])
def test_low_rank_factors_are_narrower_than_both_ends(inner: int, expected: State) -> None:
    assert judge(pair(inner=inner)).state is expected


def test_a_layer_that_widens_again_is_no_embedding() -> None:
    [found] = judge(pair(inputs=64, inner=64, outputs=128)).findings
    assert found.severity is Severity.WARNING


@pytest.mark.parametrize(("inner", "expected"), [(31, Severity.INFO), (32, Severity.WARNING)])
def test_a_narrow_layer_before_the_classifier_may_be_an_embedding(inner: int, expected: Severity) -> None:
    [found] = judge(pair(inner=inner)).findings
    assert found.severity is expected


def test_a_narrow_layer_before_another_hidden_one_is_no_embedding() -> None:
    [found] = judge(pair(inner=16, head=False)).findings
    assert found.severity is Severity.WARNING


def test_without_any_activation_even_a_narrow_one_is_a_fault() -> None:
    [found] = judge(pair(inner=16), affine=2).findings
    assert found.severity is Severity.WARNING


def test_an_encoder_and_its_head_are_parts_of_their_own() -> None:
    assert judge(pair(siblings=False)).state is State.PASS


def test_a_single_layer_is_a_linear_model_on_purpose() -> None:
    assert judge(affine=1).state is State.NOT_APPLICABLE


def test_a_projection_behind_a_contrastive_encoder() -> None:
    run = Run("cpu", None, 50, family="contrastive")
    found = missing_nonlinearity.evaluate({Wiring: Wiring((pair(),), affine=4), Run: run})
    assert found.state is State.NOT_APPLICABLE


def test_the_activation_goes_between() -> None:
    assert changes(judge(pair())) == (Rewrite("torch.relu({it})"),)
    assert changes(judge(pair(first="layers.0", second="layers.1"))) == (InsertItem("torch.nn.ReLU()", after=True),)
    assert changes(judge(pair(), pair(first="fc2", second="fc3"), affine=6)) == ()
