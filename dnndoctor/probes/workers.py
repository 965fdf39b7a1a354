"""Workers and loading: how fast the training loader alone is with other numbers of workers, and with fewer threads.

Nothing is read in this process: the loader's own speed without workers is known from the user's loop. Workers are
tried only where the loop waits for data, and only where the script could start some itself.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._pytree import tree_leaves
from torch.utils.data import IterableDataset

from dnndoctor.observe import device
from dnndoctor.observe.loaders import LoaderFacts, batch_size_of
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.batch_size import _forward_backward
from dnndoctor.probes.quiet_call import calls_of
from dnndoctor.probes.room import Room

FEWEST_WAIT = 0.05  # of a step
FEWEST_SAMPLES = 64
MOST_WORKERS = 8
MOST_BATCHES = 200
REPEATS = 5


def measure(watch: Watch, room: Room) -> None:
    """Record the loader's speed with several numbers of workers, where the loop waits for it."""
    facts: dict[str, Any] = {"cpus": device.cpus(), "threads": torch.get_num_threads(), "points": []}
    training = max(watch.loaders.training(), key=lambda each: each.steps, default=None)
    facts |= _threads(watch, room)
    if training is not None:
        facts |= _own(watch, training)
        reason = _unfit(training, facts)
        if reason is None:
            facts["points"] = _points(training, facts, room)
        else:
            facts["untried"] = reason
    watch.writer.put("probe", {"name": "workers", "facts": facts})


def _own(watch: Watch, training: LoaderFacts) -> dict[str, Any]:
    wait = training.seconds / max(training.batches, 1)
    steps = sorted(watch.step_seconds)
    compute = steps[len(steps) // 2] if steps else 0.0
    return {
        "workers": int(getattr(training.loader, "num_workers", 0)),
        "wait_seconds": wait,
        "compute_seconds": compute,
        "wait_share": wait / max(wait + compute, 1e-12),
        "batches": len(training.loader) if hasattr(training.loader, "__len__") and _sized(training) else None,
        "location": training.location,
    }


def _sized(training: LoaderFacts) -> bool:
    try:
        return len(training.loader) > 0
    except TypeError:
        return False


def _unfit(training: LoaderFacts, facts: dict[str, Any]) -> str | None:
    """Why workers are not tried, or None."""
    loader = training.loader
    if facts["wait_share"] < FEWEST_WAIT:
        return "the loop hardly waits for data"
    if facts["cpus"] < 2:
        return "this process may run on one core only"
    if isinstance(getattr(loader, "dataset", None), IterableDataset) or not _sized(training):
        return "the data come as a stream, which every worker would read"
    if batch_size_of(loader) is None or getattr(loader, "batch_sampler", None) is None:
        return "the loader does not put the batches together itself"
    if len(loader.dataset) < FEWEST_SAMPLES:
        return "there are only few samples"
    tensors = [t for batch in training.kept[:1] for t in tree_leaves(batch) if isinstance(t, torch.Tensor)]
    if any(each.device.type != "cpu" for each in tensors):
        return "the samples lie on the accelerator already"
    if threading.active_count() > 1 and not facts["workers"]:
        return "the script runs threads, and a process with threads cannot safely be forked"
    return None


def _points(training: LoaderFacts, facts: dict[str, Any], room: Room) -> list[dict[str, Any]]:
    counts = [w for w in (1, 2, 4, MOST_WORKERS) if w <= facts["cpus"]]
    counts = [*dict.fromkeys([*counts, facts["workers"]])] if facts["workers"] else counts
    points = []
    for workers in counts:
        seconds = min(room.seconds / len(counts), 2.0)
        found = _speed(training.loader, workers, seconds, torch.get_num_threads())
        points.append({"workers": workers, **found})
    return points


def _speed(loader: Any, workers: int, seconds: float, seed: int) -> dict[str, float]:
    """Seconds until the first batch, and per batch from then on."""
    began = time.perf_counter()
    with _iterating(loader, workers, seconds, seed) as batches:
        next(batches)
        first = time.perf_counter()
        number, now = 0, first
        for _ in batches:
            number, now = number + 1, time.perf_counter()
            if now - began > seconds:
                break
    return {"start_seconds": first - began, "batch_seconds": (now - first) / max(number, 1), "batches": number}


@contextmanager
def _iterating(loader: Any, workers: int, seconds: float, seed: int) -> Iterator[Iterator[Any]]:
    """A copy of the loader with so many workers, over batches of our own choice; its draws move no stream."""
    own = copy.copy(loader)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(loader.dataset), generator=generator).tolist()
    size = batch_size_of(loader) or 1
    batches = [order[i : i + size] for i in range(0, len(order) - size + 1, size)][:MOST_BATCHES] or [order]
    changes = {"num_workers": workers, "batch_sampler": batches, "generator": generator, "persistent_workers": False}
    changes |= {"timeout": max(seconds, 1.0) * 2, "prefetch_factor": 2, "_iterator": None, "pin_memory": False}
    vars(own).update(changes)
    iterator = own._get_iterator()
    try:
        yield iterator
    finally:
        shut = getattr(iterator, "_shutdown_workers", None)
        if shut is not None:
            shut()


def _threads(watch: Watch, room: Room) -> dict[str, Any]:
    """Forward and backward with as many threads as there are, and with no more than there are cores.

    One alone is tried as well: where other programs keep the cores busy, threads that wait for each other spin.
    """
    threads, cpus = torch.get_num_threads(), device.cpus()
    calls = [each for each in calls_of(watch, 1) if next(each[0].parameters()).device.type == "cpu"]
    if threads <= cpus or not calls:
        return {}
    found: dict[int, list[float]] = {threads: [], cpus: [], 1: []}
    deadline = time.perf_counter() + room.seconds / 3
    try:
        for _ in range(REPEATS):
            for count, seconds in found.items():
                torch.set_num_threads(count)
                seconds.extend(_pass_seconds(*each) for each in calls)
            if time.perf_counter() > deadline:
                break
    finally:
        torch.set_num_threads(threads)
    own = min(found.pop(threads))
    return {"pass_seconds": own, "pass_seconds_at_cpus": min(min(each) for each in found.values())}


def _pass_seconds(module: Any, call: tuple[Any, Any]) -> float:
    _forward_backward(module, *call)  # the first one pays for threads that come and go
    began = time.perf_counter()
    _forward_backward(module, *call)
    return time.perf_counter() - began
