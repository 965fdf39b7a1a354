from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Layer, Layers, Loss, Losses, OneBatch, OneBatchTrial, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.capacity.bottleneck_layer import bottleneck_layer

LOSS = Loss("cross_entropy", Location("train.py", 40), 2.3, classes=10)


def net(*units: int, **changes: Any) -> Layers:
    """Linear layers from 64 inputs; ``changes`` are made to the second."""
    sizes = (64, *units)
    made = [
        Layer(f"fc{i}", "linear", f"fc{i}.weight", Location("train.py", i), a, b, a, b, "relu")
        for i, (a, b) in enumerate(zip(sizes, units, strict=False))
    ]
    made[1] = replace(made[1], **changes)
    return Layers("Net", (*made[:-1], replace(made[-1], output=True, activation=None)))


def judge(layers: Layers, final: float = 2.0, steps: int = 200, **more: Any) -> Result:
    trial = OneBatchTrial(0.01, True, steps, 2.3, final, final < 0.23, np.zeros(0))
    measured: dict[type, Any] = {Layers: layers, OneBatch: OneBatch((trial,)), Losses: Losses((LOSS,))}
    return bottleneck_layer.evaluate(measured | {type(each): each for each in more.values()})


def test_a_layer_that_lets_nothing_through() -> None:
    [found] = judge(net(128, 3, 128, 10)).findings
    assert found.severity is Severity.WARNING
    assert found.location == Location("train.py", 1)
    assert "fc1 has 3 units between 128 inputs and 128 units behind it" in found.message


@pytest.mark.parametrize(("units", "expected"), [(15, State.FINDING), (16, State.NOT_APPLICABLE)])
def test_an_eighth_of_both_neighbours(units: int, expected: State) -> None:
    assert judge(net(128, units, 128, 10)).state is expected


@pytest.mark.parametrize(("units", "expected"), [(3, State.FINDING), (4, State.NOT_APPLICABLE)])
def test_fewer_units_than_the_classes_have_bits(units: int, expected: State) -> None:
    assert judge(net(32, units, 10)).state is expected


@pytest.mark.parametrize(
    ("final", "steps", "expected"),
    [
        (0.1, 200, State.PASS),
        (0.75, 200, State.PASS),
        (1.16, 200, State.FINDING),
        (2.0, 99, State.PASS),
        (2.0, 100, State.FINDING),
    ],
)
def test_only_where_one_batch_is_not_learned(final: float, steps: int, expected: State) -> None:
    assert judge(net(128, 3, 128, 10), final, steps).state is expected


@pytest.mark.parametrize("change", [{"residual": True}, {"gate": True}, {"branch": True}, {"activation": None}])
def test_gates_branches_and_low_rank_pairs(change: dict[str, Any]) -> None:
    assert judge(net(128, 3, 128, 10, **change)).state is State.NOT_APPLICABLE


def test_an_autoencoder_s_code_is_narrow_on_purpose() -> None:
    assert judge(net(128, 3, 128, 64)).state is State.NOT_APPLICABLE


def test_a_variational_code_is_narrow_on_purpose() -> None:
    run = Run("cpu", None, 50, family="variational")
    assert judge(net(128, 3, 128, 10), run=run).state is State.NOT_APPLICABLE


def test_without_the_probe_it_is_not_examined() -> None:
    assert bottleneck_layer.evaluate({Layers: net(128, 3, 128, 10)}).state is State.NOT_EXAMINED


@pytest.mark.parametrize("changes", [{"activation": None, "normalized": False}, {"gate": True}, {"branch": True}])
def test_low_rank_pairs_gates_and_branches_are_narrow_on_purpose(changes: dict[str, Any]) -> None:
    assert judge(net(128, 3, 128, 10, **changes)).state is State.NOT_APPLICABLE


def test_a_narrow_layer_under_a_norm_is_no_low_rank_pair() -> None:
    assert judge(net(128, 3, 128, 10, activation=None, normalized=True)).state is State.FINDING


def test_two_classes_need_one_unit() -> None:
    losses = Losses((replace(LOSS, classes=2),))
    assert judge(net(7, 1, 2), losses=losses).state is State.NOT_APPLICABLE
