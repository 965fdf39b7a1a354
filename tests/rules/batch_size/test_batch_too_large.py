from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Loaders, Run, Steps, TrainingNoise
from dnndoctor.rule import Result, State
from dnndoctor.rules.batch_size.batch_too_large import batch_too_large

Load = Callable[..., Loaders]
FALLING, FLAT = np.linspace(2.3, 1.0, 30), np.concatenate([np.linspace(2.3, 0.1, 10), np.full(20, 0.1)])


def judge(loaders: Loaders, loss: Any = FALLING, whole: bool = True, **changes: Any) -> Result:
    given = {"batch_size": 1024, "batches": 4, "scale": 100.0, "scale_low": 50.0, "scale_high": 200.0}
    n = len(loss)
    measured = (
        TrainingNoise(0.01, (1.0, 1.1), 0.1, **(given | changes)),
        loaders,
        Steps(np.arange(n), loss, np.full(n, 0.01), np.zeros(n), np.zeros(n)),
        Run("cpu", None, n, whole=whole),
    )
    return batch_too_large.evaluate({type(each): each for each in measured})


def test_a_run_cut_short_is_a_warning(loaders: Load) -> None:
    [found] = judge(loaders(1024, 4000)).findings
    assert found.severity is Severity.WARNING
    assert "a batch of 1024 samples is 10 noise scales: an epoch has 4 updates" in found.message
    assert "after its 30 updates the loss was still falling" in found.message
    assert found.fix is not None
    assert found.fix.code == "batch_size=128"


def test_else_it_is_information(loaders: Load) -> None:
    assert judge(loaders(1024, 4000), FLAT).findings[0].severity is Severity.INFO
    assert judge(loaders(1024, 4000), whole=False).findings[0].severity is Severity.INFO


def test_the_scale_at_the_threshold(loaders: Load) -> None:
    assert judge(loaders(1024, 4000), scale_high=255.0).state is State.FINDING
    assert judge(loaders(1024, 4000), scale_high=256.0).state is State.PASS


def test_many_updates_in_an_epoch_are_enough(loaders: Load) -> None:
    assert judge(loaders(1024, 20 * 1024)).state is State.PASS
    assert judge(loaders(1024, 20 * 1024 - 1)).state is State.FINDING


@pytest.mark.parametrize(("samples", "state"), [(499, State.PASS), (500, State.FINDING)])
def test_all_samples_at_once(loaders: Load, samples: int, state: State) -> None:
    unscaled: dict[str, Any] = {
        "batch_size": 0,
        "scale": None,
        "scale_low": None,
        "scale_high": None,
        "unscaled": "the same samples",
    }
    result = judge(loaders(samples, samples), **unscaled)
    assert result.state is state
    assert all("all of them at once" in each.message for each in result.findings)


def test_without_a_scale_nothing_is_said(loaders: Load) -> None:
    result = judge(loaders(1024, 4000), scale=None, scale_high=None, unscaled="2 batches")
    assert result.state is State.NOT_EXAMINED
