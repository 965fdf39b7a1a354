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


class Training:
    """A copy in training with the user's batch size and update rule, that can be left and taken up again.

    ``after_step`` may change the weights after each update, as weight decay does.
    """

    def __init__(self, task: Task, twin: nn.Module, part: Split, after_step: Callable[[], None] | None = None) -> None:
        self._task, self._twin, self._part, self._after_step = task, twin, part, after_step
        self._batches, self._update = batches(part, task.batch), task.updates(twin)
        self._parameters = [each for each in twin.parameters() if each.requires_grad]
        self._random = torch.Generator().manual_seed(part.seed).get_state()
        self._taken = 0

    def advance(self, steps: int, deadline: float) -> bool:
        """Train until ``steps`` have been taken in all; False if the time was up before."""
        torch.set_rng_state(self._random)
        while self._taken < steps:
            if time.perf_counter() > deadline:
                return False
            self._step()
            self._taken += 1
        self._random = torch.get_rng_state()
        return True

    def _step(self) -> None:
        for each in self._parameters:
            each.grad = None
        for _ in range(self._task.per_step):
            loss = self._task.loss(self._twin, next(self._batches))
            loss.backward()  # type: ignore[no-untyped-call]
        self._update()
        if self._after_step is not None:
            self._after_step()

    def score(self, course: Course) -> bool:
        """Add its scores; False if they are not finite."""
        course.training.append(self._task.scores(self._twin, self._part.train[:CHUNK]))
        course.held_out.append(self._task.scores(self._twin, self._part.held[:CHUNK]))
        return math.isfinite(course.training[-1].loss) and math.isfinite(course.held_out[-1].loss)


def follow(
    task: Task,
    twin: nn.Module,
    part: Split,
    marks: list[int],
    deadline: float,
    after_step: Callable[[], None] | None = None,
) -> Course:
    """Train the copy to the last mark, scored at each."""
    course, training = Course(), Training(task, twin, part, after_step)
    for mark in marks:
        if not training.advance(mark, deadline) or not training.score(course):
            course.finished = False
            break
    return course


def side_by_side(task: Task, parts: list[Split], marks: list[int], deadline: float) -> list[Course]:
    """One training per split, each to the same mark before the next, so that all get equally far in the time.

    Every course has the scores of the marks that all of them reached.
    """
    trainings, courses = [Training(task, task.model(), part) for part in parts], [Course() for _ in parts]
    for reached, mark in enumerate(marks):
        in_time = all(each.advance(mark, deadline) for each in trainings)
        finite = in_time and [each.score(course) for each, course in zip(trainings, courses, strict=True)]
        if not finite or not all(finite):
            for course in courses:
                course.finished = False
                del course.training[reached:], course.held_out[reached:]
            break
    return courses


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
