from __future__ import annotations

from typing import Any

import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Features, Filled, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_data.constant_features import constant_features
from tests.rules.scans import HERE, judge, samples, scan


def of(features: Features | None, **thresholds: Any) -> Result:
    return judge(constant_features, scan(samples(features=features)), **thresholds)


def test_a_feature_without_variance_is_found() -> None:
    [found] = of(Features(10, constant=((3, 2.5),), constants=1)).findings
    assert (found.severity, found.location, found.subject) == (Severity.WARNING, HERE, "feature 3")
    assert "1 of 10" in found.message


def test_a_filler_is_found_even_where_features_are_sparse() -> None:
    [found] = of(Features(10, filled=(Filled(4, -999.0, 0.6, 40.0),), sparse=True)).findings
    assert found.subject == "feature 4"
    assert "-999 in 60%" in found.message


def test_zeros_next_to_the_other_counts_are_no_filler() -> None:
    assert of(Features(10, filled=(Filled(4, 0.0, 0.9, 0.02),))).state is State.PASS


def test_the_distance_of_a_filler_decides() -> None:
    features = Features(10, filled=(Filled(4, 0.0, 0.6, 1.5),))
    assert of(features).state is State.FINDING
    assert of(features, apart=1.5).state is State.PASS


def test_a_filler_in_half_of_the_samples_is_none() -> None:
    assert of(Features(10, filled=(Filled(4, -1.0, 0.5, 40.0),))).state is State.PASS


@pytest.mark.parametrize(
    "features",
    [
        pytest.param(Features(64, constant=((0, -0.8), (32, -0.8)), constants=2, sparse=True), id="borders of images"),
        pytest.param(Features(8, constant=((0, 1.0),), constants=1), id="a column of ones"),
        pytest.param(Features(8, constant=((5, 0.0),), constants=1, binary=3), id="a category that is missing"),
        pytest.param(Features(8, constant=((0, 0.0),), constants=8), id="everything: a mask"),
    ],
)
def test_silent_by_nature(features: Features) -> None:
    assert of(features).state is State.PASS


def test_images_are_no_table() -> None:
    assert of(None).state is State.NOT_APPLICABLE


def test_few_samples_tell_nothing() -> None:
    few = samples(scanned=199, features=Features(4, constant=((0, 7.0),), constants=1))
    assert judge(constant_features, scan(few)).state is State.NOT_EXAMINED


def test_states_of_reinforcement_learning_are_left_out() -> None:
    bad = scan(samples(features=Features(4, constant=((0, 7.0),), constants=1)))
    run = Run(device="cpu", accelerator=None, steps=50, family="reinforcement")
    assert judge(constant_features, bad, run).state is State.NOT_APPLICABLE
