from __future__ import annotations

from dataclasses import replace
from typing import Any

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Dependence, FutureLeak, Passage
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_loop.future_leak import future_leak
from tests.rules.said import changes, only

LINE, BUILT = Location("train.py", 20), Location("train.py", 11)
LEAK = FutureLeak("net", 16, 1.0, 3000, 0.2, Passage("normalizing", "softmax", LINE))


def judge(*leaks: FutureLeak, **thresholds: Any) -> Result:
    return future_leak.evaluate({Dependence: Dependence(leaks=leaks)}, thresholds)


def test_a_missing_mask_is_found_at_the_attention() -> None:
    [found] = judge(LEAK).findings
    assert (found.severity, found.location) == (Severity.ERROR, LINE)
    assert "100% of the targets are the next input" in found.message
    assert "through softmax" in found.message


def test_a_layer_that_goes_both_ways_is_found_where_it_is_built() -> None:
    both = Passage("recurrent", "lstm", LINE, "net.lstm", "LSTM", True, BUILT)
    [found] = judge(replace(LEAK, passage=both)).findings
    assert found.location == BUILT
    assert found.fix is not None
    assert found.fix.code == "nn.LSTM(..., bidirectional=False)"


def test_what_could_not_be_followed_is_found_without_a_line() -> None:
    [found] = judge(replace(LEAK, passage=None)).findings
    assert (found.location, found.subject) == (None, "net")


def test_a_causal_model_passes() -> None:
    assert judge(replace(LEAK, effect=0.0, passage=None)).state is State.PASS


def test_at_the_thresholds() -> None:
    assert judge(replace(LEAK, effect=0.0009)).state is State.PASS
    assert judge(replace(LEAK, effect=0.001)).state is State.FINDING
    assert judge(replace(LEAK, equal=0.98)).state is State.NOT_APPLICABLE
    assert judge(replace(LEAK, equal=0.99)).state is State.FINDING


def test_other_targets_may_be_looked_up_both_ways() -> None:
    assert judge().state is State.NOT_APPLICABLE


def test_the_fused_attention_has_a_switch() -> None:
    fused = Passage("attention", "scaled_dot_product_attention", LINE)
    change = only(judge(replace(LEAK, passage=fused)))
    assert isinstance(change, SetArgument)
    assert (change.name, change.value, change.unless) == ("is_causal", "True", ("attn_mask",))
    assert changes(judge(LEAK)) == ()
