from __future__ import annotations

from typing import Any

from dnndoctor.findings import Severity
from dnndoctor.measurements import Epochs, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_data.order_carries_label import order_carries_label
from tests.rules.scans import HERE, epoch, judge


def of(entropy: float, expected: float = 2.1, watched: int = 40, size: int = 32, **changes: Any) -> Result:
    one = epoch(entropy=entropy, expected_entropy=expected, watched=watched, watched_size=size, **changes)
    return judge(order_carries_label, Epochs((one,)))


def test_batches_of_one_class() -> None:
    [found] = of(0.1).findings
    assert (found.severity, found.location) == (Severity.WARNING, HERE)
    assert "0.10 nats" in found.message


def test_batches_that_were_chosen_are_a_remark() -> None:
    assert of(0.1, own_batches=True).findings[0].severity is Severity.INFO


def test_six_tenths_of_the_expected_entropy_are_enough() -> None:
    assert of(0.6 * 2.1).state is State.PASS
    assert of(0.59 * 2.1).state is State.FINDING


def test_without_labels_or_with_one_class_there_is_no_order() -> None:
    assert of(0.0, watched=0).state is State.NOT_APPLICABLE
    assert of(0.0, expected=0.0).state is State.NOT_APPLICABLE
    assert of(0.0, role="evaluation").state is State.NOT_APPLICABLE


def test_few_and_small_batches_are_not_examined() -> None:
    assert of(0.1, watched=7).state is State.NOT_EXAMINED
    assert of(0.1, size=7).state is State.NOT_EXAMINED


def test_chosen_classes_are_meant_in_contrastive_training() -> None:
    one = epoch(entropy=0.1, expected_entropy=2.1, watched=40, watched_size=32)
    run = Run(device="cpu", accelerator=None, steps=50, family="contrastive")
    assert judge(order_carries_label, Epochs((one,)), run).state is State.NOT_APPLICABLE
