from __future__ import annotations

import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import DataScan, RefusedTargets
from dnndoctor.measurements.missing import Missing
from dnndoctor.rule import State
from dnndoctor.rules.training_data.label_out_of_range import label_out_of_range
from tests.rules.scans import THERE, judge, labels, loss_targets, samples, scan

BINARY = "binary_cross_entropy_with_logits"


def test_a_class_without_an_output_that_no_step_has_met_yet() -> None:
    data = scan(samples(targets=labels(90, 90, 90, 2)), loss_targets=(loss_targets(40, 40, 40),))
    [found] = judge(label_out_of_range, data).findings
    assert (found.severity, found.location) == (Severity.ERROR, THERE)
    assert "label 3 has no output" in found.message


def test_a_negative_label_that_is_not_ignored() -> None:
    data = scan(loss_targets=(loss_targets(4, 40, 40, start=-1),))
    assert "label -1" in judge(label_out_of_range, data).findings[0].message
    ignored = scan(loss_targets=(loss_targets(4, 40, 40, start=-1, ignored=-1),))
    assert judge(label_out_of_range, ignored).state is State.PASS


def test_labels_in_range_pass() -> None:
    data = scan(samples(targets=labels(90, 90)), loss_targets=(loss_targets(40, 40),))
    assert judge(label_out_of_range, data).state is State.PASS


def test_labels_that_are_mapped_in_the_loop_are_not_those_of_the_loss() -> None:
    data = scan(samples(targets=labels(90, 90, start=1)), loss_targets=(loss_targets(40, 40),))
    assert judge(label_out_of_range, data).state is State.PASS


def test_labels_of_minus_one_and_one_under_binary_cross_entropy() -> None:
    signs = loss_targets(function=BINARY, classes=0, kind="float", values=((-1.0, 40), (1.0, 40)))
    [found] = judge(label_out_of_range, scan(loss_targets=(signs,))).findings
    assert found.severity is Severity.ERROR
    assert "-1 to 1" in found.message


@pytest.mark.parametrize("top", [1.0, 1.2, 1.5])
def test_soft_labels_are_meant(top: float) -> None:
    soft = loss_targets(function=BINARY, classes=0, kind="float", values=((0.0, 40), (top, 40)))
    assert judge(label_out_of_range, scan(loss_targets=(soft,))).state is State.PASS


def test_weighted_targets_may_be_masked() -> None:
    masked = loss_targets(function=BINARY, classes=0, kind="float", values=((-1.0, 40), (1.0, 40)), weighted=True)
    assert judge(label_out_of_range, scan(loss_targets=(masked,))).state is State.PASS


def test_regression_has_no_classes() -> None:
    distance = loss_targets(function="mse_loss", classes=0, kind="float", values=((12.0, 1),))
    assert judge(label_out_of_range, scan(loss_targets=(distance,))).state is State.NOT_APPLICABLE
    assert judge(label_out_of_range, scan(loss_targets=(loss_targets(classes=3),))).state is State.NOT_EXAMINED


def test_labels_of_which_many_were_not_met_are_another_losses() -> None:
    other = scan(samples(targets=labels(90, 90, 90)), loss_targets=(loss_targets(40, 40),))
    assert judge(label_out_of_range, other).state is State.PASS


def test_the_labels_that_a_loss_raised_on_need_no_scan() -> None:
    refused = RefusedTargets(loss_targets(0, 40, 40, 40, classes=3))
    [found] = label_out_of_range.evaluate({DataScan: Missing("no step"), RefusedTargets: refused}).findings
    assert (found.severity, found.location) == (Severity.ERROR, THERE)
    assert "label 3 has no output: the loss chooses from 3 classes, 0 to 2" in found.message


def test_a_loss_that_raised_for_another_reason_has_no_such_label() -> None:
    refused = RefusedTargets(loss_targets(40, 40, 40, classes=3))
    assert label_out_of_range.evaluate({DataScan: Missing("no step"), RefusedTargets: refused}).state is State.PASS


def test_an_id_without_a_row() -> None:
    refused = RefusedTargets(loss_targets(0, 40, 40, 40, classes=3, function="embedding", per_sample=False))
    [found] = label_out_of_range.evaluate({DataScan: Missing("no step"), RefusedTargets: refused}).findings
    assert "id 3 has no row: the embedding has 3, 0 to 2" in found.message


def test_nothing_seen_is_not_examined() -> None:
    neither = {DataScan: Missing("no step"), RefusedTargets: Missing("none")}
    assert label_out_of_range.evaluate(neither).state is State.NOT_EXAMINED
