from __future__ import annotations

from dnndoctor.findings import Severity
from dnndoctor.measurements import Twins
from dnndoctor.rule import State
from dnndoctor.rules.training_data.duplicate_samples import duplicate_samples
from tests.rules.scans import HERE, judge, samples, scan


def test_copies_are_counted_and_listed() -> None:
    [found] = judge(duplicate_samples, scan(samples(twins=Twins(extra=80, first=((2, 399),))))).findings
    assert (found.severity, found.location) == (Severity.WARNING, HERE)
    assert "80 of 400" in found.message
    assert "399 as 2" in found.message


def test_five_percent_is_tolerated() -> None:
    assert judge(duplicate_samples, scan(samples(twins=Twins(extra=20)))).state is State.PASS
    assert judge(duplicate_samples, scan(samples(twins=Twins(extra=21)))).state is State.FINDING


def test_a_set_that_is_repeated_as_a_whole_is_a_remark() -> None:
    [found] = judge(duplicate_samples, scan(samples(twins=Twins(extra=300, times=4)))).findings
    assert found.severity is Severity.INFO
    assert "4 times" in found.message


def test_rare_classes_that_were_repeated_are_meant() -> None:
    assert judge(duplicate_samples, scan(samples(twins=Twins(extra=200, balancing=True)))).state is State.PASS


def test_samples_that_are_drawn_anew_may_come_again() -> None:
    drawn = scan(samples(twins=Twins(extra=200), repeatable=False))
    assert judge(duplicate_samples, drawn).state is State.PASS


def test_codes_repeat_by_nature() -> None:
    natural = scan(samples(twins=Twins(extra=300, natural=True)))
    assert judge(duplicate_samples, natural).state is State.NOT_APPLICABLE


def test_few_samples_and_streams_are_not_examined() -> None:
    assert judge(duplicate_samples, scan(samples(scanned=90, twins=Twins(extra=30)))).state is State.NOT_EXAMINED
    assert judge(duplicate_samples, scan(samples(source="batches"))).state is State.NOT_EXAMINED
