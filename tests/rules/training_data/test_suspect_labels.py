from __future__ import annotations

from typing import Any

import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import SuspectLabels
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_data.suspect_labels import suspect_labels
from tests.rules.scans import HERE, judge, scan

SICK: dict[str, Any] = {
    "samples": 1797,
    "share": 0.2,
    "sure_share": 0.21,
    "beyond_chance": 0.7,
    "agreement": 0.96,
    "method": "confident learning",
    "indices": (4, 9, 33),
    "location": HERE,
}


def of(**changes: Any) -> Result:
    return judge(suspect_labels, scan(suspects=SuspectLabels(**(SICK | changes))))


def test_a_fifth_of_wrong_labels_is_found() -> None:
    [found] = of().findings
    assert (found.severity, found.location) == (Severity.WARNING, HERE)
    assert "20% of 1797" in found.message
    assert "4, 9, 33" in found.message


def test_a_tenth_is_tolerated() -> None:
    assert of(share=0.1).state is State.PASS
    assert of(share=0.13, sure_share=0.13).state is State.FINDING


def test_classes_that_overlap_are_hard_and_not_wrong() -> None:
    assert of(sure_share=0.13).state is State.PASS


def test_few_samples_of_many_features_need_more_agreement() -> None:
    assert of(features=256, samples=900, agreement=0.94).state is State.NOT_EXAMINED
    assert of(features=256, samples=900).state is State.FINDING


def test_a_share_among_few_sure_ones_is_uncertain() -> None:
    assert of(samples=200, share=0.14, sure_share=0.14).state is State.PASS
    assert of(samples=1000, share=0.14, sure_share=0.14).state is State.FINDING


@pytest.mark.parametrize("changes", [{"agreement": 0.85}, {"share": 0.47, "sure_share": 0.5}, {"beyond_chance": 0.1}])
def test_a_weak_classifier_doubts_nothing(changes: dict[str, Any]) -> None:
    assert of(**changes).state is State.NOT_EXAMINED


def test_the_reason_why_nothing_was_measured_is_told() -> None:
    result = judge(suspect_labels, scan(suspects=SuspectLabels(missing="only 150 samples, where 200 are needed")))
    assert result.state is State.NOT_EXAMINED
    assert result.reason == "only 150 samples, where 200 are needed"
