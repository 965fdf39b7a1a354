from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Run, Steps, Transfer, Transfers
from dnndoctor.rule import Result, State
from dnndoctor.rules.hardware.host_transfer_in_loop import host_transfer_in_loop

LINE = Location("train.py", 12)
TABLE = Transfer(LINE, 2**24, 50, 0.002)


def judge(*copies: Transfer, device: str = "cuda", **thresholds: Any) -> Result:
    ten = np.full(50, 0.01)
    steps = Steps(np.arange(50), ten, ten, ten, ten)
    run = Run(device, "H100", 50)
    return host_transfer_in_loop.evaluate({Run: run, Transfers: Transfers(copies), Steps: steps}, thresholds)


def test_a_table_that_goes_in_every_step_is_found_at_its_line() -> None:
    [found] = judge(TABLE).findings
    assert (found.severity, found.location) == (Severity.WARNING, LINE)
    assert "the same 16 MiB go to the accelerator in 50 of 50 steps, 20% of a step" in found.message


def test_batches_are_others_in_every_step() -> None:
    assert judge().state is State.PASS


def test_at_the_thresholds() -> None:
    assert judge(replace(TABLE, seconds=0.0009)).state is State.PASS
    assert judge(replace(TABLE, seconds=0.0011)).state is State.FINDING
    assert judge(replace(TABLE, steps=44)).state is State.PASS
    assert judge(replace(TABLE, steps=45)).state is State.FINDING


def test_on_the_cpu_nothing_is_copied() -> None:
    assert judge(TABLE, device="cpu").state is State.NOT_APPLICABLE
