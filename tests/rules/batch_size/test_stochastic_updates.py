from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import BatchSweep, Loaders, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.batch_size.stochastic_updates import stochastic_updates
from tests.rules.said import only

Sweep = Callable[..., BatchSweep]
Load = Callable[..., Loaders]
FAST = {1: 2000.0, 8: 15000.0, 32: 50000.0}


def judge(*measured: Any, **thresholds: Any) -> Result:
    return stochastic_updates.evaluate({type(each): each for each in measured}, thresholds)


def test_single_samples_are_found(sweep: Sweep, loaders: Load) -> None:
    [found] = judge(sweep(FAST, 1, 32), loaders(1)).findings
    assert found.severity is Severity.WARNING
    assert found.location == Location("train.py", 9, 40)
    assert "2000 samples/s, where batches of 32 give 50000" in found.message
    assert found.fix is not None
    assert found.fix.code == "batch_size=32"


def test_batches_are_not_judged(sweep: Sweep, loaders: Load) -> None:
    assert judge(sweep(FAST, 2, 32), loaders(2)).state is State.NOT_APPLICABLE


def test_gain_at_the_threshold(sweep: Sweep, loaders: Load) -> None:
    assert judge(sweep({1: 100.0, 32: 300.0}, 1, 32), loaders(1)).state is State.PASS
    assert judge(sweep({1: 100.0, 32: 301.0}, 1, 32), loaders(1)).state is State.FINDING


def test_a_stream_is_not_judged(sweep: Sweep, loaders: Load) -> None:
    assert judge(sweep(FAST, 1, 32), loaders(1, None, iterable=True)).state is State.NOT_APPLICABLE


def test_accumulated_gradients_are_not_judged(sweep: Sweep, loaders: Load) -> None:
    assert judge(sweep(FAST, 1, 32), loaders(1, accumulation=16)).state is State.NOT_APPLICABLE


def test_an_environment_gives_one_sample_at_a_time(sweep: Sweep, loaders: Load) -> None:
    run = Run("cpu", None, 50, family="reinforcement")
    assert judge(sweep(FAST, 1, 32), loaders(1), run).state is State.NOT_APPLICABLE


def test_a_sample_that_fills_the_memory_is_not_judged(sweep: Sweep, loaders: Load) -> None:
    full = sweep({1: 1.0, 4: 3.9}, 1, 4, stopped="memory")
    assert judge(full, loaders(1)).state is State.NOT_APPLICABLE


def test_no_sweep_is_not_examined(loaders: Load) -> None:
    assert judge(loaders(1)).state is State.NOT_EXAMINED


def test_an_iterable_of_known_length_is_judged(sweep: Sweep, loaders: Load) -> None:
    assert judge(sweep(FAST, 1, 32), loaders(1, 5000, iterable=True)).state is State.FINDING


def test_samples_that_cannot_be_stacked_are_not_judged(sweep: Sweep, loaders: Load) -> None:
    assert judge(sweep(FAST, 1, 32), replace(loaders(1), uniform=False)).state is State.NOT_APPLICABLE


def test_the_measured_size_is_set(sweep: Sweep, loaders: Load) -> None:
    change = only(judge(sweep(FAST, 1, 32), loaders(1)))
    assert change == SetArgument("batch_size", "32", position=1, unless=("batch_sampler",), of=("DataLoader",))
