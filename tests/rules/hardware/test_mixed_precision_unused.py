from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import MixedPrecision, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.hardware.mixed_precision_unused import mixed_precision_unused

SLOW = MixedPrecision(True, half=False, tf32=False, seconds=0.2, mixed_seconds=0.1, kind="bfloat16")


def judge(precision: MixedPrecision | None, device: str = "cuda", **thresholds: Any) -> Result:
    measured: dict[type, Any] = {Run: Run(device, "H100", 50)} | ({MixedPrecision: precision} if precision else {})
    return mixed_precision_unused.evaluate(measured, thresholds)


def test_full_precision_on_tensor_cores_is_noted() -> None:
    [found] = judge(SLOW).findings
    assert found.severity is Severity.INFO
    assert "2.0 times as fast in bfloat16" in found.message


@pytest.mark.parametrize(("half", "tf32"), [(True, False), (False, True)])
def test_half_precision_and_tf32_pass(half: bool, tf32: bool) -> None:
    assert judge(MixedPrecision(True, half, tf32)).state is State.PASS


def test_at_the_threshold() -> None:
    assert judge(SLOW, gain=2.1).state is State.PASS
    assert judge(SLOW, gain=2.0).state is State.FINDING


def test_without_tensor_cores_or_accelerator() -> None:
    assert judge(MixedPrecision(False, half=False, tf32=False)).state is State.NOT_APPLICABLE
    assert judge(None, device="cpu").state is State.NOT_APPLICABLE
    assert judge(None).state is State.NOT_EXAMINED


@pytest.mark.parametrize("changes", [{"half": True}, {"tf32": True}, {"seconds": None}, {"mixed_seconds": None}])
def test_what_would_gain_but_is_in_use_or_not_timed(changes: dict[str, Any]) -> None:
    assert judge(replace(SLOW, **changes)).state is State.PASS
