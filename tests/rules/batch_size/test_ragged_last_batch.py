from __future__ import annotations

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Severity
from dnndoctor.measurements import Epochs
from dnndoctor.rule import State
from dnndoctor.rules.batch_size.ragged_last_batch import ragged_last_batch
from tests.rules.said import only
from tests.rules.scans import HERE, epoch, judge


def test_one_sample_under_batch_norm() -> None:
    [found] = judge(ragged_last_batch, Epochs((epoch(1025, 64),), batch_norm="norm")).findings
    assert (found.severity, found.location) == (Severity.WARNING, HERE)
    assert "leave 1:" in found.message
    assert "raises an error" in found.message


def test_one_image_is_enough_for_an_answer_but_not_for_statistics() -> None:
    [found] = judge(ragged_last_batch, Epochs((epoch(1025, 64),), batch_norm="n", batch_norm_values=64)).findings
    assert "raises" not in found.message
    assert found.severity is Severity.WARNING


def test_two_samples_under_batch_norm_pass() -> None:
    assert judge(ragged_last_batch, Epochs((epoch(1026, 64),), batch_norm="norm")).state is State.PASS


def test_a_small_last_batch_is_a_remark_in_short_epochs() -> None:
    [found] = judge(ragged_last_batch, Epochs((epoch(131, 32),))).findings
    assert found.severity is Severity.INFO
    assert judge(ragged_last_batch, Epochs((epoch(11 * 32 + 3, 32),))).state is State.PASS


def test_a_quarter_of_a_batch_is_enough() -> None:
    assert judge(ragged_last_batch, Epochs((epoch(136, 32),))).state is State.PASS
    assert judge(ragged_last_batch, Epochs((epoch(135, 32),))).state is State.FINDING


def test_dropped_whole_and_only_batches() -> None:
    assert judge(ragged_last_batch, Epochs((epoch(1025, 64, drop_last=True),))).state is State.NOT_APPLICABLE
    assert judge(ragged_last_batch, Epochs((epoch(1024, 64),), batch_norm="norm")).state is State.PASS
    assert judge(ragged_last_batch, Epochs((epoch(1, 64),), batch_norm="norm")).state is State.PASS
    assert judge(ragged_last_batch, Epochs((epoch(9, 1),))).state is State.NOT_APPLICABLE
    assert judge(ragged_last_batch, Epochs((epoch(65, 64, role="evaluation"),))).state is State.NOT_EXAMINED


def test_the_loader_is_told_to_drop_it() -> None:
    change = only(judge(ragged_last_batch, Epochs((epoch(1025, 64),), batch_norm="norm")))
    assert change == SetArgument("drop_last", "True", position=8, unless=("batch_sampler",), of=("DataLoader",))


def test_each_loader_is_judged_by_itself() -> None:
    dropped, whole = epoch(1025, 64, drop_last=True), epoch(1024, 64)
    assert judge(ragged_last_batch, Epochs((dropped, whole), batch_norm="norm")).state is State.PASS
    assert judge(ragged_last_batch, Epochs((dropped, epoch(1025, 64)), batch_norm="norm")).state is State.FINDING


def test_a_single_sample_without_batch_norm_passes_in_long_epochs() -> None:
    assert judge(ragged_last_batch, Epochs((epoch(1025, 64),))).state is State.PASS
