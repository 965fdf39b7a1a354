"""Gradients with literal sizes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location
from dnndoctor.measurements import Gradients, Layer, Layers, Parameter, ParameterGradient, Weights


def make_net(count: int, weight: dict[str, Any] | None = None, **layer: Any) -> dict[type, Any]:
    """Layers fc0, fc1, ..., the last the output; ``weight`` and ``layer`` change the first."""
    layers, weights = [], []
    for at in range(count):
        name = f"fc{at}"
        own = {"output": at == count - 1} | (layer if at == 0 else {})
        layers.append(Layer(name, "linear", f"{name}.weight", Location("train.py", at + 1), 64, 64, 64, 64, **own))
        given: dict[str, Any] = {"trainable": True, "max_abs": 0.3} | ((weight or {}) if at == 0 else {})
        weights.append(Parameter(f"{name}.weight", name, "Linear", (64, 64), "weight", 64, 64, **given))
    return {Layers: Layers("Net", tuple(layers)), Weights: Weights(tuple(weights))}


def make_gradients(
    rms: Sequence[float | Sequence[float]] = (), norm: Sequence[float] = (1.0,) * 20, **facts: bool
) -> Gradients:
    """A root mean square for each of fc0, fc1, ...: one number for all of six steps, or one each."""
    steps = np.arange(6)
    rows = tuple(
        ParameterGradient(f"fc{at}.weight", steps, np.broadcast_to(np.asarray(one, float), 6), np.zeros(6))
        for at, one in enumerate(rms)
    )
    return Gradients(rows, np.arange(len(norm)), np.asarray(norm, float), **facts)


@pytest.fixture
def net() -> Callable[..., dict[type, Any]]:
    return make_net


@pytest.fixture
def gradients() -> Callable[..., Gradients]:
    return make_gradients
