"""A plain network of 64-wide linear layers with literal weights and signal."""

from collections.abc import Callable
from typing import Any

import pytest

from dnndoctor.findings import Location
from dnndoctor.measurements import Layer, Layers, Parameter, Weights

WIDTH = 64


def make_layer(name: str, **changes: Any) -> Layer:
    given: dict[str, Any] = {
        "kind": "linear",
        "weight": f"{name}.weight",
        "location": Location("train.py", 7),
        "inputs": WIDTH,
        "outputs": WIDTH,
        "fan_in": WIDTH,
        "fan_out": WIDTH,
        "activation": "relu",
        "unit_std": 1.0,
    }
    return Layer(name=name, **(given | changes))


def make_weight(name: str, **changes: Any) -> Parameter:
    given: dict[str, Any] = {
        "module": name,
        "module_class": "Linear",
        "shape": (WIDTH, WIDTH),
        "kind": "weight",
        "fan_in": WIDTH,
        "fan_out": WIDTH,
        "trainable": True,
        "location": Location("train.py", 9),
        "std": 0.177,
        "max_abs": 0.5,
    }
    return Parameter(name=f"{name}.weight", **(given | changes))


def make_net(
    stds: list[float], signal: list[float], layer: dict[str, Any] | None = None, weight: dict[str, Any] | None = None
) -> dict[type, Any]:
    """Layers fc0, fc1, ...; the last is the output. ``layer`` and ``weight`` change all hidden ones."""
    last = len(stds) - 1
    layers = [make_layer(f"fc{at}", **({"unit_std": one} | (layer or {}))) for at, one in enumerate(signal)]
    layers[last] = make_layer(f"fc{last}", unit_std=signal[last], activation=None, output=True)
    weights = [make_weight(f"fc{at}", **({"std": one} | (weight or {}))) for at, one in enumerate(stds)]
    return {Layers: Layers("Net", tuple(layers)), Weights: Weights(tuple(weights))}


@pytest.fixture
def net() -> Callable[..., dict[type, Any]]:
    return make_net


@pytest.fixture
def layer() -> Callable[..., Layer]:
    return make_layer


@pytest.fixture
def weight() -> Callable[..., Parameter]:
    return make_weight
