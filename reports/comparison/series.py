"""The curves of a run, whether it was watched or its logs were read."""

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from dnndoctor.diagnosis import Diagnosis
from dnndoctor.measurements import Course, Gradients, History, Missing, Steps

Measured = TypeVar("Measured")
Points = tuple[list[float], list[float]]
LAST = 10  # of so many parts of a run the last: one batch's loss is mostly chance


def losses(diagnosis: Diagnosis) -> Points | None:
    """The training loss."""
    steps = taken(diagnosis.measurements, Steps)
    return _logged(diagnosis, "loss") or (_points(steps.step, steps.loss) if steps is not None else None)


def held_out(diagnosis: Diagnosis) -> Points | None:
    """The loss on samples that are not trained on."""
    history = taken(diagnosis.measurements, History)
    watched = _points(history.validation_step, history.validation_loss) if history is not None else None
    return _logged(diagnosis, "validation loss") or watched


def norms(diagnosis: Diagnosis) -> Points | None:
    """The norm of the gradient."""
    gradients = taken(diagnosis.measurements, Gradients)
    watched = _points(gradients.steps, gradients.norm) if gradients is not None else None
    return _logged(diagnosis, "gradient norm") or watched


def rates(diagnosis: Diagnosis) -> Points | None:
    """The learning rate."""
    steps = taken(diagnosis.measurements, Steps)
    watched = _points(steps.step, steps.learning_rate) if steps is not None else None
    return _logged(diagnosis, "learning rate") or watched


def unit(diagnosis: Diagnosis) -> str:
    """What its steps count."""
    course = taken(diagnosis.measurements, Course)
    return "optimizer step" if course is None or course.unit == "step" else course.unit


def end(points: Points) -> float:
    """The level at the end."""
    last = [each for each in points[1][-max(len(points[1]) // LAST, 1) :] if not math.isnan(each)]
    return float(np.median(last)) if last else math.nan


def _logged(diagnosis: Diagnosis, role: str) -> Points | None:
    course = taken(diagnosis.measurements, Course)
    curve = course.curve(role) if course is not None else None
    return _points(curve.step, curve.value) if curve is not None else None


def _points(x: object, y: object) -> Points | None:
    at, values = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if not len(at) or np.isnan(values).all():
        return None
    return [float(each) for each in at], [float(each) for each in values]


def taken(measurements: Mapping[type, Any], kind: type[Measured]) -> Measured | None:
    """The measurement, or None where it is missing."""
    value = measurements.get(kind)
    return None if value is None or isinstance(value, Missing) else value
