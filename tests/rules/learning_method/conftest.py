"""A small model's parameters, all of them trained, and their optimizer."""

from collections.abc import Callable
from typing import Any

import pytest

from dnndoctor.findings import Location
from dnndoctor.measurements import Parameter, Weights


@pytest.fixture
def weights() -> Callable[..., Weights]:
    return make_weights


def make_weights(**changes: dict[str, Any]) -> Weights:
    """Two layers; ``first`` and ``second`` are changes to their weight and bias."""
    parameters = []
    for line, (module, layer) in enumerate({"fc1": "first", "fc2": "second"}.items(), start=5):
        for part, shape in (("weight", (8, 4)), ("bias", (8,))):
            given: dict[str, Any] = {
                "name": f"{module}.{part}",
                "module": module,
                "module_class": "Linear",
                "shape": shape,
                "kind": part,
                "fan_in": 4,
                "fan_out": 8,
                "trainable": True,
                "location": Location("train.py", line),
                "max_abs": 0.5,
                "optimizer": 0,
                "effective_steps": 50,
            }
            parameters.append(Parameter(**(given | changes.get(layer, {}))))
    return Weights(tuple(parameters))
