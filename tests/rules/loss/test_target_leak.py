from __future__ import annotations

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Leak, Run
from dnndoctor.rule import State
from dnndoctor.rules.loss.target_leak import target_leak
from tests.rules.scans import HERE, judge, samples, scan

LEAK = Leak(feature=7, correlation=1.0, next=0.4, exact=True, samples=400)


def test_a_feature_that_is_the_target() -> None:
    [found] = judge(target_leak, scan(samples(leak=LEAK))).findings
    assert (found.severity, found.location, found.subject) == (Severity.ERROR, HERE, "feature 7")


def test_it_is_told_once_where_data_and_batches_show_it() -> None:
    assert len(judge(target_leak, scan(samples(leak=LEAK), batch_leak=LEAK)).findings) == 1


def test_an_input_that_was_made_in_the_loop() -> None:
    made = Leak(7, 1.0, 0.4, True, 400, location=Location("train.py", 31))
    [found] = judge(target_leak, scan(batch_leak=made)).findings
    assert found.location == Location("train.py", 31)


def test_what_only_follows_the_target_is_no_leak() -> None:
    near = Leak(7, 0.9994, 0.4, False, 400)
    assert judge(target_leak, scan(samples(leak=near))).state is State.PASS
    assert judge(target_leak, scan(samples(leak=near)), correlation=0.99).state is State.FINDING


def test_sound_and_not_applicable() -> None:
    assert judge(target_leak, scan()).state is State.PASS
    assert judge(target_leak, scan(samples(input_shape=(3, 8, 8)))).state is State.NOT_APPLICABLE
    run = Run(device="cpu", accelerator=None, steps=50, family="gan")
    assert judge(target_leak, scan(samples(leak=LEAK)), run).state is State.NOT_APPLICABLE


def test_a_set_of_which_no_sample_was_read_is_not_examined() -> None:
    assert judge(target_leak, scan(samples(scanned=0))).state is State.NOT_EXAMINED
