"""Literal measurements that rules of several practices are judged on."""

from __future__ import annotations

from typing import Any

import numpy as np

from dnndoctor.findings import Location
from dnndoctor.measurements import (
    Clearing,
    Clearings,
    Gradients,
    Group,
    Groups,
    Habits,
    History,
    Optimizer,
    OptimizerGroups,
    Optimizers,
    Parameter,
    ParameterGradient,
    Plan,
    Schedule,
    Schedules,
    Weights,
)
from dnndoctor.rule import Result, Rule

HERE = Location("train.py", 7)


def judged(rule: Rule, *measured: Any, **thresholds: Any) -> Result:
    """What the rule makes of these measurements and no others."""
    return rule.evaluate({type(each): each for each in measured}, thresholds)


def an_optimizer(name: str = "SGD", rate: float = 0.1, **changes: Any) -> Optimizers:
    given: dict[str, Any] = {"rate_location": Location("train.py", 20, 48), "steps": 50}
    return Optimizers((Optimizer(name, Location("train.py", 20), (rate,), rate, **(given | changes)),))


def a_plan(epochs: int | None = 30, per_epoch: int | None = 40, **changes: Any) -> Plan:
    return Plan(epochs, per_epoch, epochs * per_epoch if epochs and per_epoch else None, **changes)


def a_schedule(rates: Any = (), **changes: Any) -> Schedules:
    """One of the optimizer that steps, called per epoch thirty times."""
    given: dict[str, Any] = {
        "name": "StepLR",
        "location": Location("train.py", 21),
        "optimizer": 0,
        "calls": 2,
        "watched_calls": 1,
        "per": "epoch",
        "planned": 30,
        "call_location": Location("train.py", 30),
        "variable": "sched",
        "rates": np.asarray(rates, np.float64),
    }
    curves: dict[str, Any] = {
        key: np.asarray(changes.pop(key), np.float64) for key in ("rates_per_epoch", "rates_per_step") if key in changes
    }
    return Schedules((Schedule(**(given | changes | curves)),))


NO_SCHEDULE = Schedules(())
NO_HABITS = Habits(lines=30)
NO_HISTORY = History(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0))


def the_groups(
    rates: Any = ((0.1,), (0.1,)), decay: float = 0.0, names: tuple[str, ...] = (), **changes: Any
) -> Groups:
    group = Group(names, 100, 0.1, decay)
    return Groups((OptimizerGroups((group,), np.asarray(rates, np.float64), **changes),))


def the_clearings(line: int = 28) -> Clearings:
    return Clearings((Clearing("SGD", 49, 0, 0, 1, step_location=Location("train.py", line)),))


def a_parameter(name: str = "fc.weight", kind: str = "weight", **changes: Any) -> Parameter:
    given: dict[str, Any] = {
        "name": name,
        "module": name.rpartition(".")[0],
        "module_class": "Linear",
        "shape": (8, 4) if kind == "weight" else (8,),
        "kind": kind,
        "fan_in": 4,
        "fan_out": 8,
        "trainable": True,
        "location": HERE,
        "std": 0.1,
        "optimizer": 0,
        "effective_steps": 50,
    }
    return Parameter(**(given | changes))


def weights_of(*parameters: Parameter) -> Weights:
    return Weights(parameters)


def updates(**ratios: float) -> Gradients:
    """Steady update-to-weight ratios of parameters, dots in their names written as two underscores."""
    steps = np.arange(0, 50, 5)
    every = [
        ParameterGradient(name.replace("__", "."), steps, np.full(10, 0.01), np.full(10, ratio))
        for name, ratio in ratios.items()
    ]
    return Gradients(tuple(every), steps, np.full(10, 0.1))
