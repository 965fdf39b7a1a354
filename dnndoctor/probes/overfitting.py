"""How far training on a part of the data helps with the rest: copies of the model, a quarter of the samples held out.

The copies start where the user's model started and are trained with their optimizer, rate and batch size, for as many
epochs as the run is meant to have where that is known, as far as the time goes. Three different quarters tell how much
of a difference is chance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

from dnndoctor.observe.watch import Watch
from dnndoctor.probes.course import Course, seconds_per_step, side_by_side, split
from dnndoctor.probes.restraints import plan_of, restraints
from dnndoctor.probes.room import Room, Unable
from dnndoctor.probes.task import Task, supervision, task_of

NAME = "overfitting"
SPLITS = 3
HELD_OUT = 0.25
EPOCHS = 30  # where it is not known how long the run is meant to be
MARKS, FEWEST_MARKS = 12, 5
FEWEST_STEPS = 20
RISEN, BEHIND = 0.1, 0.2  # of the progress: from here on other probes look for a remedy


def measure(watch: Watch, room: Room) -> None:
    """Record the losses on training and held-out samples."""
    try:
        facts = _facts(watch, room)
    except Unable as why:
        facts = {"missing": str(why)}
    if "missing" not in facts:
        facts["grows"] = grows(facts)
    supervision(watch).overfitting = facts
    watch.writer.put("probe", {"name": NAME, "facts": facts})


def measured(watch: Watch) -> dict[str, Any]:
    """What ``measure`` recorded. Raises Unable where it found nothing."""
    facts = supervision(watch).overfitting
    if facts is None or "missing" in facts:
        raise Unable(facts["missing"] if facts else "over-fitting was not measured")
    return facts


def grows(facts: dict[str, Any]) -> bool:
    """Whether in every split the held-out loss rises again, or stays behind the training loss, by a good part of what
    was gained."""
    held, training = np.asarray(facts["held_out_loss"]), np.asarray(facts["training_loss"])
    best = int(held.mean(0).argmin())
    gained = max(facts["start"] - held.mean(0)[best], 0.0)
    rise, gap = held[:, -1] - held[:, best], held[:, -1] - training[:, -1]
    return bool((rise > 0).all() and rise.mean() > RISEN * gained) or bool((gap > BEHIND * gained).all())


def _facts(watch: Watch, room: Room) -> dict[str, Any]:
    deadline = room.deadline
    task = task_of(watch)
    parts = [split(task.rows, HELD_OUT, seed) for seed in range(SPLITS)]
    per_step = seconds_per_step(task, parts[0])
    epochs = planned_epochs(watch, task)
    per_epoch = max(len(parts[0].train) / (task.batch * task.per_step), 1.0)
    wanted = round((epochs or EPOCHS) * per_epoch)
    affordable = int(0.8 * room.seconds / SPLITS / max(per_step, 1e-6))
    steps = min(wanted, affordable)
    if steps < min(FEWEST_STEPS, wanted):
        raise Unable(f"a step takes {per_step:.2g} s: there is no time for {FEWEST_STEPS} of them, three times over")
    marks = spread(steps)
    courses = side_by_side(task, parts, marks, deadline)
    marks = marks[: len(courses[0].held_out)]
    if len(marks) < FEWEST_MARKS:
        raise Unable("the time was up, or the loss was no longer finite")
    steps = marks[-1]
    start = [task.scores(task.model(), part.held[:512]).loss for part in parts]
    return {
        "start": float(np.mean(start)),
        "marks": marks,
        **curves(courses),
        "epochs": steps / per_epoch,
        "planned_epochs": epochs,
        "rows": task.rows,
        "seen": task.seen,
        "held_out": len(parts[0].held),
        "batch": task.batch,
        "rate": task.rate,
        "optimizer": task.optimizer,
        "model": task.name,
        "location": watch.modules.location(task.original),
        "length": dataset_length(watch),
        "augmented": augmented(watch, task),
        "restraints": restraints(watch, task, steps),
        "parameters": task.parameters,
        "per_step": per_step,
    }


def curves(courses: list[Course]) -> dict[str, Any]:
    """Losses and errors by split and mark, [splits][marks]."""
    table: dict[str, Any] = {
        "training_loss": [[each.loss for each in course.training] for course in courses],
        "held_out_loss": [[each.loss for each in course.held_out] for course in courses],
        "training_error": [[each.error for each in course.training] for course in courses],
        "held_out_error": [[each.error for each in course.held_out] for course in courses],
    }
    if any(each is None for row in table["held_out_error"] for each in row):
        table["training_error"] = table["held_out_error"] = None
    return table


def spread(steps: int) -> list[int]:
    """Marks from the first steps to the last, close together at first."""
    return sorted({max(round(each), 1) for each in np.geomspace(max(steps / 64, 1), steps, MARKS)})


def planned_epochs(watch: Watch, task: Task) -> float | None:
    """How often the run is meant to take each sample, None where that is not known."""
    plan = plan_of(watch)
    steps, epochs = plan.get("steps"), plan.get("epochs")
    length = dataset_length(watch) or (task.rows if task.repeated else None)
    if steps and length:
        return float(steps * task.batch * task.per_step / length)
    return float(epochs) if epochs else None


def dataset_length(watch: Watch) -> int | None:
    """Samples of the data set that is trained on."""
    lengths = [each.facts()["length"] for each in watch.loaders.training()]
    return max((each for each in lengths if each), default=None)


def augmented(watch: Watch, task: Task) -> bool | None:
    """Whether one and the same sample comes in different forms; None where nobody can tell."""
    length = dataset_length(watch)
    if length is not None and task.rows > length:
        return True
    if length is None:
        return False if task.repeated else None
    dataset = max(watch.loaders.training(), key=lambda each: each.steps).loader.dataset
    try:
        pairs = [(dataset[i], dataset[i]) for i in {0, length // 2, length - 1}]
    except Exception:  # noqa: BLE001 - a stream, or a data set that takes no such index
        return None
    return not all(_same(one, other) for one, other in pairs)


def _same(one: Any, other: Any) -> bool:
    pairs = zip(tree_leaves(one), tree_leaves(other), strict=True)
    return all(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) if _array(a) else bool(a == b) for a, b in pairs)


def _array(value: Any) -> bool:
    return isinstance(value, (torch.Tensor, np.ndarray))
