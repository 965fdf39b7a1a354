from __future__ import annotations

from typing import Any

from dnndoctor.findings import Severity
from dnndoctor.measurements import Seeds
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_loop.unseeded_run import unseeded_run


def judge(drawn: tuple[str, ...], seeded: tuple[str, ...], **thresholds: Any) -> Result:
    return unseeded_run.evaluate({Seeds: Seeds(drawn, seeded)}, thresholds)


def test_streams_without_a_seed_are_noted() -> None:
    [found] = judge(("numpy", "torch"), ("torch",)).findings
    assert found.severity is Severity.INFO
    assert "from 1 random stream without a seed: numpy" in found.message
    assert found.fix is not None
    assert found.fix.code == "np.random.seed(0)"


def test_seeded_streams_pass() -> None:
    assert judge(("torch",), ("torch", "python")).state is State.PASS


def test_at_the_threshold() -> None:
    assert judge(("torch",), (), tolerated=1).state is State.PASS
    assert judge(("torch",), (), tolerated=0).state is State.FINDING


def test_nothing_drawn_nothing_to_seed() -> None:
    assert judge((), ()).state is State.NOT_APPLICABLE
