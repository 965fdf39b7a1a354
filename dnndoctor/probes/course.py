"""One training of a copy: some rows to train on, others held out, both scored on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import nn

from dnndoctor.probes.task import CHUNK, Scores, Task


@dataclass
class Course:
    """Scores at each mark; ``finished`` unless the time was up or the loss was no longer finite."""

    training: list[Scores] = field(default_factory=list)
    held_out: list[Scores] = field(default_factory=list)
    finished: bool = True


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows held out, and the seed of everything that is random in a training on them."""

    train: torch.Tensor
    held: torch.Tensor
    seed: int


def split(rows: int, share: float, seed: int) -> Split:
    """``share`` of the rows held out, by chance."""
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    held = max(int(rows * share), 1)
    return Split(order[held:], order[:held], seed)


def follow(
    task: Task,
    twin: nn.Module,
    part: Split,
    marks: list[int],
    deadline: float,
    after_step: Callable[[], None] | None = None,
) -> Course:
    """Train the copy for ``marks[-1]`` steps with the user's batch size and update rule, scored at each mark.

    ``after_step`` may change the weights after each update, as weight decay does.
    """
    course, torch_batches = Course(), batches(part, task.batch)
    torch.manual_seed(part.seed)
    update = task.updates(twin)
    parameters = [each for each in twin.parameters() if each.requires_grad]
    for step in range(1, marks[-1] + 1):
        for each in parameters:
            each.grad = None
        for _ in range(task.per_step):
            loss = task.loss(twin, next(torch_batches))
            loss.backward()  # type: ignore[no-untyped-call]
        update()
        if after_step is not None:
            after_step()
        if step in marks:
            course.training.append(task.scores(twin, part.train[:CHUNK]))
            course.held_out.append(task.scores(twin, part.held[:CHUNK]))
            finite = math.isfinite(course.training[-1].loss) and math.isfinite(course.held_out[-1].loss)
            if not finite or (time.perf_counter() > deadline and step < marks[-1]):
                course.finished = False
                break
    return course


def batches(part: Split, size: int) -> Iterator[torch.Tensor]:
    """Rows to train on, shuffled anew in every epoch; a rest of less than half a batch is left out."""
    generator = torch.Generator().manual_seed(part.seed)
    while True:
        order = part.train[torch.randperm(len(part.train), generator=generator)]
        chunks = torch.split(order, size)
        yield from chunks if len(chunks) == 1 or 2 * len(chunks[-1]) >= size else chunks[:-1]


def seconds_per_step(task: Task, part: Split) -> float:
    """Of a training of a copy, from a few steps: the fastest of three tries, since others use the machine too."""
    twin, tries = task.model(), []
    follow(task, twin, part, [1], math.inf)
    for _ in range(3):
        before = time.perf_counter()
        follow(task, twin, part, [4], math.inf)
        tries.append(time.perf_counter() - before)
    return min(tries) / 5  # scoring twice costs about one step more
