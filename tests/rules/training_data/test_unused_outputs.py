from __future__ import annotations

from dnndoctor.findings import Severity
from dnndoctor.rule import State
from dnndoctor.rules.training_data.unused_outputs import unused_outputs
from tests.rules.scans import THERE, judge, labels, loss_targets, samples, scan


def test_an_output_too_many_is_a_remark() -> None:
    data = scan(samples(targets=labels(200, 200)), loss_targets=(loss_targets(80, 80, classes=3),))
    [found] = judge(unused_outputs, data).findings
    assert (found.severity, found.location) == (Severity.INFO, THERE)
    assert "1 of 3" in found.message


def test_every_output_is_used() -> None:
    data = scan(samples(targets=labels(100, 100, 200)), loss_targets=(loss_targets(40, 40, 80),))
    assert judge(unused_outputs, data).state is State.PASS


def test_in_a_small_set_a_class_may_be_missing() -> None:
    losses = (loss_targets(8, 8, classes=21),)
    assert judge(unused_outputs, scan(samples(targets=labels(200, 200)), loss_targets=losses)).state is State.PASS
    assert (
        judge(unused_outputs, scan(samples(targets=labels(200, 200)), loss_targets=losses), per_class=19).state
        is State.FINDING
    )


def test_vocabularies_and_tokens_are_left_out() -> None:
    wide = scan(samples(targets=labels(200, 200)), loss_targets=(loss_targets(80, 80, classes=5000),))
    tokens = scan(samples(targets=labels(200, 200)), loss_targets=(loss_targets(80, 80, classes=3, per_sample=False),))
    assert judge(unused_outputs, wide).state is State.NOT_APPLICABLE
    assert judge(unused_outputs, tokens).state is State.NOT_APPLICABLE


def test_a_part_of_the_labels_tells_nothing() -> None:
    part = samples(targets=labels(200, 200), length=800)
    assert judge(unused_outputs, scan(part, loss_targets=(loss_targets(80, 80, classes=3),))).state is (
        State.NOT_EXAMINED
    )
