from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Dependence, Mixing, Passage, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_loop.batch_entries_mixed import batch_entries_mixed
from tests.rules.said import changes

LINE, BUILT = Location("train.py", 20), Location("train.py", 11)
VIEW = Passage("view", "reshape", LINE)
LSTM = Passage("recurrent", "lstm", LINE, "net.lstm", "LSTM", False, BUILT)
CLEAN = Mixing("net", 32, 3, 0.0, 0)
MIXED = Mixing("net", 32, 3, 0.4, 31, loaded=True, shuffled=True, shape=(32, 10, 6), passage=VIEW)
BY_HAND = replace(MIXED, loaded=False, shuffled=False)


def judge(*mixings: Mixing, family: str = "supervised", **thresholds: Any) -> Result:
    run = Run("cpu", None, 50, family=family)
    return batch_entries_mixed.evaluate({Dependence: Dependence(mixings), Run: run}, thresholds)


def test_a_wrong_reshape_is_found_at_its_line() -> None:
    [found] = judge(MIXED).findings
    assert (found.severity, found.location) == (Severity.ERROR, LINE)
    assert "the output of 31 others changes" in found.message
    assert "reshape tears the samples apart" in found.message


def test_a_layer_with_the_time_first_is_found_where_it_is_built() -> None:
    [found] = judge(replace(MIXED, passage=LSTM)).findings
    assert (found.location, found.subject) == (BUILT, "net.lstm")
    assert found.fix is not None
    assert found.fix.code == "nn.LSTM(..., batch_first=True)"


def test_a_layer_that_has_the_batch_first_is_given_it_in_the_wrong_place() -> None:
    [found] = judge(replace(MIXED, passage=replace(LSTM, batch_first=True))).findings
    assert found.location == LINE


def test_softmax_over_the_batch() -> None:
    [found] = judge(replace(BY_HAND, passage=Passage("normalizing", "softmax", LINE))).findings
    assert "softmax goes over the batch" in found.message


def test_entries_that_keep_to_themselves_pass() -> None:
    assert judge(CLEAN).state is State.PASS


def test_one_finding_for_one_line() -> None:
    assert len(judge(MIXED, replace(MIXED, model="target")).findings) == 1
    assert judge(CLEAN, MIXED).state is State.FINDING


def test_rounding_is_below_the_threshold() -> None:
    assert judge(replace(MIXED, effect=0.0009)).state is State.PASS
    assert judge(replace(MIXED, effect=0.001)).state is State.FINDING


@pytest.mark.parametrize(
    "meant",
    [
        replace(MIXED, passage=Passage("other", "matmul", LINE)),
        replace(MIXED, passage=Passage("unknown")),
        replace(BY_HAND, clean_elsewhere=True, passage=LSTM),
        replace(BY_HAND, shape=(32, 32, 6), passage=LSTM),
        replace(BY_HAND, passage=replace(LSTM, alone=True)),
        replace(MIXED, passage=Passage("attention", "scaled_dot_product_attention", LINE, alone=True)),
        replace(BY_HAND, passage=Passage("layer", "linear", LINE)),
        replace(BY_HAND, shape=(32, 6), passage=Passage("normalizing", "softmax", LINE)),
        replace(BY_HAND, others=15, passage=LSTM),
    ],
    ids=[
        "all with all",
        "not followed",
        "time first",
        "two axes alike",
        "one sequence",
        "between samples",
        "series",
        "points of one set",
        "one of several sequences",
    ],
)
def test_what_may_be_meant_is_not_judged(meant: Mixing) -> None:
    assert judge(meant).state is State.NOT_APPLICABLE
    assert judge(meant, CLEAN).state is State.PASS


def test_a_shuffled_batch_is_no_sequence() -> None:
    assert judge(replace(MIXED, passage=replace(LSTM, alone=True))).state is State.FINDING
    assert judge(replace(MIXED, passage=Passage("layer", "linear", LINE))).state is State.FINDING


def test_contrastive_training_compares_its_samples() -> None:
    assert judge(MIXED, family="contrastive").state is State.NOT_APPLICABLE


def test_without_a_batch_nothing_is_said() -> None:
    assert judge().state is State.NOT_EXAMINED


def test_the_layer_is_told_that_the_batch_comes_first() -> None:
    assert changes(judge(replace(MIXED, passage=LSTM))) == (SetArgument("batch_first", "True", of=("LSTM",), at=BUILT),)
    assert changes(judge(MIXED)) == ()
