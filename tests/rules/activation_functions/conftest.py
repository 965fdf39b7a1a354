"""Activations with literal statistics."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from dnndoctor.findings import Location
from dnndoctor.measurements import Activation, ActivationStatistics, Layer

STEP: dict[str, Any] = {"mean": 0.0, "std": 1.0, "unit_std": 0.5, "max_abs": 2.0, "pooled": 500}


def make_site(
    function: str = "relu", line: int = 10, role: str = "hidden", units: int = 64, **series: Any
) -> Activation:
    """Six watched steps; a statistic is one number for all of them, or one number each."""
    name = series.pop("name", "act1")
    layer = series.pop("layer", "layers.0")
    given = {key: value if isinstance(value, Sequence) else [value] * 6 for key, value in (STEP | series).items()}
    steps = min(len(value) for value in given.values())
    history = tuple(ActivationStatistics(at, **{key: value[at] for key, value in given.items()}) for at in range(steps))
    return Activation(name, function, Location("train.py", line), role, units, layer, history)


def make_layer(name: str, **changes: Any) -> Layer:
    given: dict[str, Any] = {
        "kind": "linear",
        "weight": f"{name}.weight",
        "location": Location("train.py", 7),
        "inputs": 64,
        "outputs": 64,
        "fan_in": 64,
        "fan_out": 64,
        "unit_std": 0.5,
    }
    return Layer(name=name, **(given | changes))


@pytest.fixture
def site() -> Callable[..., Activation]:
    return make_site


@pytest.fixture
def layer() -> Callable[..., Layer]:
    return make_layer
