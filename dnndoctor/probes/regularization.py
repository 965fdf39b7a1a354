"""Which restraint helps a model that over-fits: dropout of its hidden units, or weight decay, on the held-out samples.

Tried only where over-fitting was measured, on the same quarters and for the same steps, so that every difference is one
between pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from dnndoctor.observe.watch import Watch
from dnndoctor.probes import overfitting
from dnndoctor.probes.course import follow, split
from dnndoctor.probes.room import Room, Unable
from dnndoctor.probes.task import Task, task_of

NAME = "regularization"
DROPOUT = (0.5, 0.2)
DECAYS = (3.0, 1.0)  # by how many times the weights would shrink to 1/e over all steps, with no gradient
WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)


def measure(watch: Watch, room: Room) -> None:
    """Record the held-out losses with each restraint."""
    watch.writer.put("probe", {"name": NAME, "facts": _facts(watch, room)})


def _facts(watch: Watch, room: Room) -> dict[str, Any]:
    known, task = overfitting.measured(watch), task_of(watch)
    if not overfitting.grows(known):
        raise Unable("no over-fitting was measured")
    steps, deadline = known["marks"][-1], room.deadline
    trials = []
    for share, times in zip(DROPOUT, DECAYS, strict=True):
        trials.append(("dropout", share))
        if task.rate > 0:
            trials.append(("weight_decay", times / (task.rate * steps)))
    variants = []
    for kind, value in trials:
        losses, errors = [], []
        for seed in range(overfitting.SPLITS):
            twin = task.model()
            after = None
            if kind == "weight_decay":
                after = _decaying(twin, task.rate * value)
            else:
                drop_hidden(task, twin, value)
            course = follow(task, twin, split(task.rows, overfitting.HELD_OUT, seed), [steps], deadline, after)
            if not course.finished:
                break
            losses.append(course.held_out[-1].loss)
            errors.append(course.held_out[-1].error)
        if len(losses) == overfitting.SPLITS:
            variants.append({"kind": kind, "value": value, "held_out_loss": losses, "held_out_error": errors})
        elif room.is_over(deadline):
            break
    if not variants:
        raise Unable("the time was up")
    return {"steps": steps, "variants": variants}


def drop_hidden(task: Task, twin: nn.Module, share: float) -> None:
    """Drop a share of what enters every linear and convolution layer but the first that is called."""
    order: list[nn.Module] = []
    layers = [each for each in twin.modules() if isinstance(each, WEIGHTED)]
    notes = [each.register_forward_pre_hook(lambda module, _: order.append(module)) for each in layers]
    with torch.no_grad():
        task.scores(twin, torch.arange(min(task.rows, 4)))
    for each in notes:
        each.remove()
    behind = list(dict.fromkeys(order))[1:]
    existing = [each for each in twin.modules() if isinstance(each, nn.modules.dropout._DropoutNd)]
    for dropout in existing:
        dropout.p = share
    if not behind and not existing:
        raise Unable("the model has no hidden layer of its own to drop units of")
    for layer in behind if not existing else ():
        layer.register_forward_pre_hook(_Dropping(share))


class _Dropping:
    """Drops entries of a layer's first argument in training mode."""

    def __init__(self, share: float) -> None:
        self._share = share

    def __call__(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (nn.functional.dropout(args[0], self._share, module.training), *args[1:])


def _decaying(twin: nn.Module, per_step: float) -> Callable[[], None]:
    """Shrink all weights of two dimensions or more by this share after every step."""
    weights: list[torch.Tensor] = [each for each in twin.parameters() if each.requires_grad and each.dim() > 1]

    def decay() -> None:
        with torch.no_grad():
            torch._foreach_mul_(weights, 1 - per_step)

    return decay
