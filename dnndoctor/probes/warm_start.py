"""A warm start from the inputs alone: the hidden layers first learn to restore noisy inputs, then train as ever.

Only feed-forward models with one float input. The labels of the held-out samples are never used, and neither are their
inputs.
"""

from __future__ import annotations

import time
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn

from dnndoctor.observe.watch import Watch
from dnndoctor.probes import overfitting
from dnndoctor.probes.course import Split, batches, follow, split
from dnndoctor.probes.room import Room, Unable
from dnndoctor.probes.task import Task, task_of
from dnndoctor.probes.width import called

NAME = "pretraining"
NOISE = 0.3  # standard deviations of the input
RATE = 1e-3
MOST_WEIGHTS = 2_000_000  # of the layer that restores the input


def measure(watch: Watch, room: Room) -> None:
    """Record the held-out losses from scratch and after a warm start."""
    watch.writer.put("probe", {"name": NAME, "facts": _facts(watch, room)})


def _facts(watch: Watch, room: Room) -> dict[str, Any]:
    known, task = overfitting.measured(watch), task_of(watch)
    if not overfitting.grows(known):
        raise Unable("no over-fitting was measured")
    marks, deadline = known["marks"], room.deadline
    warm = []
    for seed in range(overfitting.SPLITS):
        part = split(task.rows, overfitting.HELD_OUT, seed)
        twin = task.model()
        _restore_inputs(task, twin, part, marks[-1], deadline)
        course = follow(task, twin, part, marks, deadline)
        if not course.finished:
            raise Unable("the time was up, or the loss was no longer finite")
        warm.append([each.loss for each in course.held_out])
    # At the best of the common marks: what comes after is over-fitting, and no question of the start.
    scratch = np.asarray(known["held_out_loss"])
    best = int(scratch.mean(0).argmin()), int(np.mean(warm, 0).argmin())
    return {
        "start": known["start"],
        "scratch": scratch[:, best[0]].tolist(),
        "warm": np.asarray(warm)[:, best[1]].tolist(),
        "steps": marks[-1],
        "rows": task.rows,
    }


def _restore_inputs(task: Task, twin: nn.Module, part: Split, steps: int, deadline: float) -> None:
    """Train all before the last layer so that a linear layer in its place restores the inputs from noisy ones."""
    columns = [each for each in task.inputs if each.rows]
    if len(columns) != 1 or not columns[0].value.is_floating_point():
        raise Unable("the model has not one input of floats")
    clean = columns[0].value
    last = called(task, twin)[-1]
    caught: list[torch.Tensor] = []
    note = last.register_forward_pre_hook(lambda _, args: caught.append(args[0]))
    torch.manual_seed(part.seed)
    task.outputs(twin, part.train[:2])
    hidden, size, std = caught[-1][0].numel(), clean[0].numel(), clean[part.train].std()
    if hidden * size > MOST_WEIGHTS:
        raise Unable("the hidden layer or the input is too large to restore one from the other")
    back = (torch.randn(size, hidden, device=clean.device) / hidden**0.5).requires_grad_(True)
    shift = clean[part.train].reshape(len(part.train), -1).mean(0).clone().requires_grad_(True)
    update = Adam([*(each for each in twin.parameters() if each.requires_grad), back, shift], RATE)
    for rows in islice(batches(part, task.batch), steps):
        if time.perf_counter() > deadline:
            raise Unable("the time was up")
        caught.clear()
        wanted = clean[rows]
        task.outputs(twin, rows, wanted + NOISE * std * torch.randn_like(wanted))
        restored = caught[0].reshape(len(rows), -1) @ back.T + shift
        update.step(nn.functional.mse_loss(restored, wanted.reshape(len(rows), -1)))
    note.remove()


class Adam:
    """Kingma and Ba 2015, with the usual constants; past what torch notes of optimizers."""

    def __init__(self, weights: list[torch.Tensor], rate: float) -> None:
        self._weights, self._rate, self._steps = weights, rate, 0
        self._mean = [torch.zeros_like(each) for each in weights]
        self._square = [torch.zeros_like(each) for each in weights]

    def step(self, loss: torch.Tensor) -> None:
        """Move the weights that this loss depends on."""
        self._steps += 1
        gradients = torch.autograd.grad(loss, self._weights, allow_unused=True)
        shrunk = self._rate * (1 - 0.999**self._steps) ** 0.5 / (1 - 0.9**self._steps)
        with torch.no_grad():
            for weight, grad, mean, square in zip(self._weights, gradients, self._mean, self._square, strict=True):
                if grad is not None:
                    mean.lerp_(grad, 0.1)
                    square.mul_(0.999).addcmul_(grad, grad, value=0.001)
                    weight.addcdiv_(mean, square.sqrt().add_(1e-8), value=-shrunk)
