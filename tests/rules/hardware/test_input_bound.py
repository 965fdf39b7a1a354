from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Loading, LoadingPoint
from dnndoctor.rule import Result, State
from dnndoctor.rules.hardware.input_bound import input_bound
from tests.rules.said import changes

LINE = Location("train.py", 12)
POINTS = (LoadingPoint(1, 0.1, 0.02, 40), LoadingPoint(4, 0.2, 0.006, 40))
SLOW = Loading(0, 4, 0.02, 0.01, 1000, LINE, POINTS)


def judge(loading: Loading, **thresholds: Any) -> Result:
    return input_bound.evaluate({Loading: loading}, thresholds)


def test_a_loop_that_waits_is_found_at_its_loader() -> None:
    [found] = judge(SLOW).findings
    assert (found.severity, found.location) == (Severity.WARNING, LINE)
    assert "67% of each step is spent waiting for data; with 4 workers instead of 0" in found.message
    assert found.fix is not None
    assert "num_workers=4" in str(found.fix.code)


def test_a_loop_that_hardly_waits_passes() -> None:
    assert judge(replace(SLOW, wait_seconds=0.0005)).state is State.PASS


def test_workers_that_only_cost_are_not_recommended() -> None:
    slower = (LoadingPoint(1, 0.1, 0.05, 40), LoadingPoint(2, 0.1, 0.04, 40))
    assert judge(replace(SLOW, points=slower)).state is State.PASS


def test_a_short_epoch_does_not_win_back_the_start() -> None:
    assert judge(replace(SLOW, batches=5)).state is State.PASS


def test_small_waits_are_information() -> None:
    quick = replace(SLOW, wait_seconds=0.004, compute_seconds=0.001, points=(LoadingPoint(2, 0.0, 0.001, 40),))
    [found] = judge(quick).findings
    assert found.severity is Severity.INFO


@pytest.mark.parametrize(("wait", "severity"), [(0.3, Severity.WARNING), (0.2, Severity.INFO), (0.14, Severity.INFO)])
def test_severity_at_the_threshold(wait: float, severity: Severity) -> None:
    points = (LoadingPoint(2, 0.0, 0.001, 40),)
    [found] = judge(replace(SLOW, wait_seconds=wait, compute_seconds=1 - wait, points=points)).findings
    assert found.severity is severity


def test_gain_at_the_threshold() -> None:
    points = (LoadingPoint(2, 0.0, 1.0, 40),)
    assert judge(Loading(0, 4, 0.5, 0.59, 1000, LINE, points)).state is State.PASS
    assert judge(Loading(0, 4, 0.5, 0.61, 1000, LINE, points)).state is State.FINDING


def test_one_core_has_no_room_for_workers() -> None:
    assert judge(replace(SLOW, cpus=1, points=())).state is State.NOT_APPLICABLE


def test_what_was_not_tried_is_said() -> None:
    result = judge(replace(SLOW, points=(), untried="the data come as a stream"))
    assert (result.state, result.reason) == (State.NOT_EXAMINED, "the data come as a stream")


def test_the_measured_number_of_workers_is_set() -> None:
    assert changes(judge(SLOW)) == (
        SetArgument("num_workers", "4", position=5, of=("DataLoader",)),
        SetArgument("persistent_workers", "True", of=("DataLoader",)),
    )
    [found] = judge(SLOW).findings
    assert found.fix is not None
    assert found.fix.verified


def test_each_worker_would_give_all_of_a_stream() -> None:
    assert not any(changes(judge(replace(SLOW, batches=None))) for _ in judge(replace(SLOW, batches=None)).findings)


def test_a_small_data_set_in_memory_is_no_matter() -> None:
    """A third of a step of three milliseconds: what workers would save, starting them costs."""
    quick = replace(SLOW, wait_seconds=0.0019, compute_seconds=0.001, points=(LoadingPoint(2, 0.0, 0.0001, 40),))
    assert judge(quick).state is State.PASS
    assert judge(replace(quick, wait_seconds=0.0021)).state is State.FINDING


def test_a_small_share_passes_whatever_workers_would_do() -> None:
    instant = (LoadingPoint(2, 0.0, 0.0001, 40),)
    assert judge(Loading(0, 4, 0.049, 0.951, 1000, LINE, instant), gain=1.0).state is State.PASS
    assert judge(Loading(0, 4, 0.051, 0.949, 1000, LINE, instant), gain=1.0).state is State.FINDING


def test_a_machine_that_was_busy_is_not_the_loader_s_fault() -> None:
    """The loop waited for long, and the same loader by itself does not."""
    idle = (LoadingPoint(0, 0.0, 0.001, 40), LoadingPoint(2, 0.0, 0.0005, 40))
    assert judge(replace(SLOW, points=idle)).state is State.PASS


def test_one_batch_is_no_measurement() -> None:
    assert judge(replace(SLOW, points=(LoadingPoint(4, 0.1, 0.0, 1),))).state is State.PASS
