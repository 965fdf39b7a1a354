from __future__ import annotations

from dnndoctor.findings import Severity
from dnndoctor.measurements import OddSamples, TokenPadding
from dnndoctor.rule import State
from dnndoctor.rules.training_data.degenerate_samples import degenerate_samples
from tests.rules.scans import HERE, judge, samples, scan


def odd(**facts: object) -> OddSamples:
    return OddSamples(looked_at=400, **facts)  # type: ignore[arg-type]


def test_blank_samples_are_listed() -> None:
    [found] = judge(degenerate_samples, scan(samples(odd=odd(blank=12, blank_at=(3, 40, 77))))).findings
    assert (found.severity, found.location) == (Severity.WARNING, HERE)
    assert "12 of 400" in found.message
    assert "3, 40, 77" in found.message


def test_far_samples_are_listed() -> None:
    [found] = judge(degenerate_samples, scan(samples(odd=odd(outlying=9, outlying_at=(5,))))).findings
    assert "10 robust deviations" in found.message


def test_empty_sequences_are_found() -> None:
    [found] = judge(degenerate_samples, scan(samples(padding=TokenPadding(0.4, 0.0, empty=8, lengths=9)))).findings
    assert "padding only" in found.message


def test_one_percent_is_tolerated() -> None:
    many = OddSamples(looked_at=1000, blank=10)
    assert judge(degenerate_samples, scan(samples(odd=many))).state is State.PASS
    assert judge(degenerate_samples, scan(samples(odd=many)), blank=0.009).state is State.FINDING


def test_a_class_of_its_own_is_meant() -> None:
    assert judge(degenerate_samples, scan(samples(odd=odd(blank=40, blank_class=True)))).state is State.PASS
    assert judge(degenerate_samples, scan(samples(odd=odd(outlying=40, outlying_class=True)))).state is State.PASS


def test_few_samples_and_no_samples() -> None:
    few = samples(scanned=60, odd=OddSamples(looked_at=60, blank=6))
    assert judge(degenerate_samples, scan(few)).state is State.NOT_EXAMINED
    assert judge(degenerate_samples, scan(samples())).state is State.NOT_APPLICABLE
