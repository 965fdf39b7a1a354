from __future__ import annotations

from dnndoctor.findings import Severity
from dnndoctor.measurements import DataScan
from dnndoctor.rule import State
from dnndoctor.rules.training_data.train_validation_leak import train_validation_leak
from tests.rules.scans import HERE, THERE, judge, overlap, samples, scan


def test_shared_samples_are_an_error_at_the_evaluation() -> None:
    [found] = judge(train_validation_leak, scan(overlaps=(overlap(30),))).findings
    assert (found.severity, found.location) == (Severity.ERROR, THERE)
    assert "30 of 100" in found.message


def test_one_percent_is_chance() -> None:
    assert judge(train_validation_leak, scan(overlaps=(overlap(2, 200),))).state is State.PASS
    assert judge(train_validation_leak, scan(overlaps=(overlap(3, 200),))).state is State.FINDING


def test_a_part_of_the_training_set_alone_is_no_validation() -> None:
    [found] = judge(train_validation_leak, scan(overlaps=(overlap(100, by="place"),))).findings
    assert found.severity is Severity.ERROR


def test_a_measure_of_the_training_set_beside_a_validation_is_meant() -> None:
    beside = scan(overlaps=(overlap(100, by="place"), overlap(0)))
    assert judge(train_validation_leak, beside).state is State.PASS


def test_nothing_but_the_training_set_is_a_remark_if_it_has_a_loader_of_its_own() -> None:
    [found] = judge(train_validation_leak, scan(overlaps=(overlap(400, 400, whole=True),))).findings
    assert found.severity is Severity.INFO
    looked_at = scan(overlaps=(overlap(16, 16, loader=False),))
    assert judge(train_validation_leak, looked_at).state is State.PASS
    bare = scan(overlaps=(overlap(400, 400, whole=True, loader=False),))
    assert judge(train_validation_leak, bare).state is State.PASS
    same = scan(overlaps=(overlap(400, 400, whole=True, location=HERE),))
    assert judge(train_validation_leak, same).state is State.PASS


def test_codes_are_equal_by_nature() -> None:
    assert judge(train_validation_leak, scan(overlaps=(overlap(90, natural=True),))).state is State.NOT_APPLICABLE


def test_without_an_evaluation_or_a_training_set_nothing_is_known() -> None:
    assert judge(train_validation_leak, scan()).state is State.NOT_EXAMINED
    assert judge(train_validation_leak, DataScan((samples(role="evaluation"),))).state is State.NOT_EXAMINED


def test_samples_that_are_drawn_anew_are_told_apart_by_place_only() -> None:
    drawn = samples(repeatable=False)
    assert judge(train_validation_leak, scan(drawn, overlaps=(overlap(30),))).state is State.NOT_APPLICABLE
    assert judge(train_validation_leak, scan(drawn, overlaps=(overlap(30, by="place"),))).state is State.FINDING


def test_one_shared_sample_of_a_few_is_chance() -> None:
    assert judge(train_validation_leak, scan(overlaps=(overlap(1, 20),))).state is State.PASS


def test_without_training_samples_nothing_is_compared() -> None:
    unread = scan(samples(role="evaluation"), overlaps=(overlap(30),))
    assert judge(train_validation_leak, unread).state is State.NOT_EXAMINED
