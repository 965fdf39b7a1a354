from __future__ import annotations

from typing import Any

import numpy as np

from dnndoctor.changes import Rewrite, Safety
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import KeptGraphs, KeptSum
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_loop.graph_retained import graph_retained
from tests.rules.said import changes, only

BACKWARD, CALL, SUM = Location("train.py", 30), Location("train.py", 25), Location("train.py", 33)


def graphs(nodes: list[int], back: list[int], **more: Any) -> KeptGraphs:
    steps = np.arange(1, len(nodes) + 1)
    return KeptGraphs(steps, np.asarray(nodes), np.asarray(back), location=BACKWARD, **more)


def judge(measured: KeptGraphs, **thresholds: Any) -> Result:
    return graph_retained.evaluate({KeptGraphs: measured}, thresholds)


def test_a_state_that_is_not_detached_is_found_where_it_is_handed_on() -> None:
    [found] = judge(graphs([40, 80, 160, 320], [1, 2, 4, 8], carried=CALL)).findings
    assert (found.severity, found.location) == (Severity.WARNING, CALL)
    assert "from 40 to 320 nodes" in found.message


def test_without_the_call_the_backward_pass_is_named() -> None:
    assert judge(graphs([40, 80, 160, 320], [1, 2, 4, 8])).findings[0].location == BACKWARD


def test_a_sum_with_its_graphs_is_found_at_its_line() -> None:
    [found] = judge(graphs([40, 40, 40], [0, 0, 0], sums=(KeptSum(SUM, 49),))).findings
    assert found.location == SUM
    assert "the losses of 49 steps" in found.message


def test_graphs_of_one_size_pass() -> None:
    assert judge(graphs([40, 40, 40, 40], [0, 0, 0, 0])).state is State.PASS


def test_longer_sequences_have_larger_graphs_of_their_own() -> None:
    assert judge(graphs([40, 80, 160, 320], [0, 0, 0, 0])).state is State.PASS
    assert judge(graphs([40, 160, 80, 320], [3, 3, 3, 3])).state is State.PASS


def test_one_constant_part_from_before_the_loop_passes() -> None:
    assert judge(graphs([40, 40, 40, 40], [1, 2, 4, 8])).state is State.PASS


def test_at_the_thresholds() -> None:
    assert judge(graphs([40, 60, 79], [1, 2, 3])).state is State.PASS
    assert judge(graphs([40, 60, 80], [1, 2, 3])).state is State.FINDING
    assert judge(graphs([40, 60, 80], [0, 1, 2])).state is State.PASS
    assert judge(graphs([40, 40], [0, 0], sums=(KeptSum(SUM, 4),))).state is State.PASS
    assert judge(graphs([40, 40], [0, 0], sums=(KeptSum(SUM, 5),))).state is State.FINDING


def test_one_backward_pass_says_nothing() -> None:
    assert judge(graphs([40], [0])).state is State.NOT_EXAMINED


def test_what_is_added_up_is_detached() -> None:
    change = only(judge(graphs([40, 40, 40], [0, 0, 0], sums=(KeptSum(SUM, 49),))))
    assert change == Rewrite("{it}.detach()", argument=1, of=("+",), safety=Safety.SAFE)


def test_a_state_is_detached_where_it_is_handed_on() -> None:
    grown = ([40, 80, 160, 320], [1, 2, 4, 8])
    one = only(judge(graphs(*grown, carried=CALL, argument=1, form="tensor")))
    assert one == Rewrite("{it}.detach()", argument=1, at=CALL, safety=Safety.SAFE)
    two = only(judge(graphs(*grown, carried=CALL, argument=1, form="tuple")))
    assert isinstance(two, Rewrite)
    assert two.template == "tuple(each.detach() for each in {it})"
    assert changes(judge(graphs(*grown, carried=CALL, argument=1, form="other"))) == ()
    assert changes(judge(graphs(*grown, carried=CALL))) == ()
