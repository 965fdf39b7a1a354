from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import BatchSweep, Loaders, Optimizer, Optimizers, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.batch_size.batch_under_uses_hardware import batch_under_uses_hardware

Sweep = Callable[..., BatchSweep]
Load = Callable[..., Loaders]
GPU, CPU = Run("cuda", "NVIDIA H100", 50), Run("cpu", None, 50)
CURVE = {16: 1000.0, 64: 3000.0, 256: 8000.0}


def judge(*measured: Any, **thresholds: Any) -> Result:
    return batch_under_uses_hardware.evaluate({type(each): each for each in measured}, thresholds)


def test_a_small_batch_on_an_accelerator_is_a_warning(sweep: Sweep, loaders: Load) -> None:
    [found] = judge(sweep(CURVE, 16, 256), loaders(16), GPU).findings
    assert found.severity is Severity.WARNING
    assert found.location == Location("train.py", 9, 40)
    assert "batches of 16 give 1000 samples/s, batches of 256 give 8000" in found.message
    assert found.fix is not None
    assert found.fix.code == "batch_size=256"


def test_on_a_cpu_it_is_information(sweep: Sweep, loaders: Load) -> None:
    [found] = judge(sweep(CURVE, 16, 256), loaders(16), CPU).findings
    assert found.severity is Severity.INFO


@pytest.mark.parametrize(("name", "advice"), [("SGD", "by 16 (linear"), ("AdamW", "by 4 (root")])
def test_the_rate_is_advised_with_the_batch(sweep: Sweep, loaders: Load, name: str, advice: str) -> None:
    optimizers = Optimizers((Optimizer(name, None, (0.1,), 0.1),))
    [found] = judge(sweep(CURVE, 16, 256), loaders(16), GPU, optimizers).findings
    assert found.fix is not None
    assert advice in found.fix.explanation


def test_a_batch_at_the_knee_passes(sweep: Sweep, loaders: Load) -> None:
    assert judge(sweep(CURVE, 256, 256), loaders(256), GPU).state is State.PASS


def test_gains_at_the_thresholds(sweep: Sweep, loaders: Load) -> None:
    def with_gain(gain: float) -> Result:
        return judge(sweep({16: 1000.0, 64: 1000.0 * gain}, 16, 64), loaders(16), GPU)

    assert with_gain(1.3).state is State.PASS
    assert with_gain(1.31).findings[0].severity is Severity.INFO
    assert with_gain(2.0).findings[0].severity is Severity.INFO
    assert with_gain(2.01).findings[0].severity is Severity.WARNING


def test_a_gain_within_the_spread_of_the_repeats_passes(sweep: Sweep, loaders: Load) -> None:
    curve = {16: 1000.0, 64: 1500.0, 256: 1500.0}
    assert judge(sweep(curve, 16, 64, spread=np.array([1.1, 1.55, 1.0])), loaders(16), GPU).state is State.PASS
    assert judge(sweep(curve, 16, 64, spread=np.array([1.1, 1.1, 1.9])), loaders(16), GPU).state is State.FINDING


def test_updates_per_epoch_at_the_threshold(sweep: Sweep, loaders: Load) -> None:
    assert judge(sweep(CURVE, 16, 256), loaders(16, 25600), GPU).state is State.FINDING
    assert judge(sweep(CURVE, 16, 256), loaders(16, 25599), GPU).state is State.NOT_APPLICABLE


def test_without_a_known_length_it_is_not_examined(sweep: Sweep, loaders: Load) -> None:
    assert judge(sweep(CURVE, 16, 256), loaders(16, None, iterable=True), GPU).state is State.NOT_EXAMINED


def test_single_samples_are_another_rule_s(sweep: Sweep, loaders: Load) -> None:
    assert judge(sweep({1: 10.0, 32: 300.0}, 1, 32), loaders(1), GPU).state is State.NOT_APPLICABLE


def test_a_batch_beyond_the_knee_is_not_made_smaller(sweep: Sweep, loaders: Load) -> None:
    assert judge(sweep({64: 9000.0, 256: 3000.0}, 256, 64), loaders(256), GPU).state is State.PASS
