from __future__ import annotations

from typing import Any

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Compilation, FoundModel, Missing, TrainingLoop
from dnndoctor.rule import Result, State
from dnndoctor.rules.hardware.not_compiled import not_compiled

LINES = (Location("train.py", 8), Location("train.py", 9))


def judge(compilation: Compilation | Missing, **thresholds: Any) -> Result:
    return not_compiled.evaluate({Compilation: compilation}, thresholds)


def test_a_gain_is_noted() -> None:
    [found] = judge(Compilation(False, 0.2, 0.1, 21.0)).findings
    assert found.severity is Severity.INFO
    assert "2.0 times as fast compiled; compiling took 21 s" in found.message


def test_at_the_threshold() -> None:
    assert judge(Compilation(False, 0.129, 0.1, 21.0)).state is State.PASS
    assert judge(Compilation(False, 0.131, 0.1, 21.0)).state is State.FINDING


def test_a_compiled_model_passes() -> None:
    assert judge(Compilation(True)).state is State.PASS


def test_nobody_asked() -> None:
    assert judge(Missing("it is tried where it is asked for")).state is State.NOT_EXAMINED


def test_a_compiled_model_passes_whatever_was_timed() -> None:
    assert judge(Compilation(True, 0.2, 0.1, 21.0)).state is State.PASS
    assert judge(Compilation(False, 0.2, None, None)).state is State.PASS


def test_it_is_found_where_the_largest_model_is_built() -> None:
    small, large = (FoundModel("M", "M", 10 * at, 10 * at, line) for at, line in enumerate(LINES, 1))
    loop = TrainingLoop("supervised", "", (small, large))
    measured = {Compilation: Compilation(False, 0.2, 0.1, 21.0), TrainingLoop: loop}
    assert not_compiled.evaluate(measured).findings[0].location == LINES[1]
