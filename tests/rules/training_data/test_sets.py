"""Which of the sets that were read a rule on training data judges: those that are trained on, and read far enough."""

from __future__ import annotations

from typing import Any

import pytest

from dnndoctor.measurements import Features, OddSamples, TokenPadding, Twins
from dnndoctor.rule import Rule, State
from dnndoctor.rules.training_data.constant_features import constant_features
from dnndoctor.rules.training_data.degenerate_samples import degenerate_samples
from dnndoctor.rules.training_data.duplicate_samples import duplicate_samples
from dnndoctor.rules.training_data.mostly_padding import mostly_padding
from tests.rules.scans import judge, samples, scan

SOUND: dict[str, Any] = {
    "features": Features(10),
    "odd": OddSamples(looked_at=400),
    "padding": TokenPadding(0.1, 0.0, lengths=9),
    "twins": Twins(extra=0),
}
SICK: list[tuple[Rule, dict[str, Any]]] = [
    (constant_features, {"features": Features(10, constant=((3, 2.5),), constants=1)}),
    (degenerate_samples, {"odd": OddSamples(looked_at=400, blank=12)}),
    (duplicate_samples, {"twins": Twins(extra=80)}),
    (mostly_padding, {"padding": TokenPadding(0.7, 0.0, lengths=9)}),
]


@pytest.mark.parametrize(("rule", "facts"), SICK)
def test_what_is_only_evaluated_is_not_judged(rule: Rule, facts: dict[str, Any]) -> None:
    sound = samples(**SOUND)
    assert judge(rule, scan(sound, samples(**facts))).state is State.FINDING
    assert judge(rule, scan(sound, samples(role="evaluation", **facts))).state is State.PASS


@pytest.mark.parametrize(("rule", "facts"), SICK)
def test_each_set_must_be_read_far_enough(rule: Rule, facts: dict[str, Any]) -> None:
    facts = {"odd": OddSamples(looked_at=20, blank=12)} if "odd" in facts else facts
    few = samples(scanned=20, **facts)
    assert judge(rule, scan(samples(**SOUND), few)).state is State.PASS


def test_codes_that_repeat_by_nature_lie_beside_samples() -> None:
    codes = samples(twins=Twins(extra=300, natural=True))
    assert judge(duplicate_samples, scan(samples(**SOUND), codes)).state is State.PASS


def test_a_few_odd_samples_are_no_share() -> None:
    """Two of a hundred: more than a percent, and still a few."""
    few = OddSamples(looked_at=100, blank=2)
    assert judge(degenerate_samples, scan(samples(length=100, scanned=100, odd=few))).state is State.PASS
