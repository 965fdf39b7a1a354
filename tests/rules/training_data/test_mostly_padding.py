from __future__ import annotations

from dnndoctor.findings import Severity
from dnndoctor.measurements import TokenPadding
from dnndoctor.rule import State
from dnndoctor.rules.training_data.mostly_padding import mostly_padding
from tests.rules.scans import HERE, judge, samples, scan


def test_padding_that_the_model_does_not_know() -> None:
    [found] = judge(mostly_padding, scan(samples(padding=TokenPadding(0.7, 0.0, lengths=9)))).findings
    assert (found.severity, found.location) == (Severity.WARNING, HERE)
    assert "70%" in found.message


def test_padding_that_is_masked_costs_time_only() -> None:
    masked = scan(samples(padding=TokenPadding(0.7, 0.0, lengths=9)), padding_known=("mask",))
    assert judge(mostly_padding, masked).findings[0].severity is Severity.INFO


def test_half_is_tolerated() -> None:
    assert judge(mostly_padding, scan(samples(padding=TokenPadding(0.5, 0.0, lengths=9)))).state is State.PASS


def test_a_constant_end_is_no_padding() -> None:
    assert judge(mostly_padding, scan(samples(padding=TokenPadding(0.7, 0.0, lengths=2)))).state is State.PASS


def test_numbers_are_no_tokens_and_few_tell_nothing() -> None:
    assert judge(mostly_padding, scan(samples())).state is State.NOT_APPLICABLE
    few = scan(samples(scanned=31, padding=TokenPadding(0.7, 0.0, lengths=9)))
    assert judge(mostly_padding, few).state is State.NOT_EXAMINED
