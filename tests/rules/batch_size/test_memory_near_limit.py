from __future__ import annotations

from typing import Any

from dnndoctor.findings import Severity
from dnndoctor.measurements import MemoryUse, Missing
from dnndoctor.rule import Result, State
from dnndoctor.rules.batch_size.memory_near_limit import memory_near_limit


def judge(memory: MemoryUse | Missing, **thresholds: Any) -> Result:
    return memory_near_limit.evaluate({MemoryUse: memory}, thresholds)


def test_a_full_device_is_found() -> None:
    [found] = judge(MemoryUse("cuda", 38 * 2**30, 40 * 2**30)).findings
    assert found.severity is Severity.WARNING
    assert "95% of the memory: 38 of 40 GiB" in found.message


def test_at_the_threshold() -> None:
    assert judge(MemoryUse("cpu", 90, 100)).state is State.PASS
    assert judge(MemoryUse("cpu", 91, 100)).state is State.FINDING


def test_a_system_that_tells_nothing() -> None:
    assert judge(Missing("it was not told")).state is State.NOT_EXAMINED
