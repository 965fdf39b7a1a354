"""Batch-size throughput: forward and backward of the user's model at several sizes, outside of the loop.

The model's own recorded inputs are cut or repeated to each size. Gradients go to nobody (``torch.autograd.grad``),
so that parameters keep theirs; what a step costs beyond forward and backward (the loop, the optimizer) is
measured at the user's size and added at every size.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from dnndoctor.observe import device
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.room import Room

LARGEST = 1024
REPEATS = 3
OWN = 3  # passes at the user's size before the sweep
CPU_SHARE = 0.2
GAIN = 1.1  # a size counts as faster when it brings this much; repeats of one size spread 1.06 to 1.55


@dataclass
class Point:
    """One repeat at one size; ``peak`` in bytes, None on the CPU."""

    size: int
    repeat: int
    samples_per_second: float
    peak: float | None


class BatchSizeProbe:
    """Measures one model; ``run`` never raises for what the model cannot do."""

    def __init__(
        self,
        calls: list[tuple[nn.Module, tuple[tuple[Any, ...], dict[str, Any]]]],
        user_size: int,
        step_seconds: float,
        accumulation: int,
        output_bytes: int = 0,
    ) -> None:
        """``output_bytes``: of all operations of a pass at the user's size."""
        self._output_bytes = output_bytes
        self._calls = calls
        self._size = user_size
        self._step_seconds = step_seconds
        self._accumulation = max(accumulation, 1)
        self.points: list[Point] = []
        self.passes: dict[str, float] = {}  # seconds of forward and of backward at the user's size, per step
        self.stopped = "knee"

    def run(self, seconds: float) -> None:
        """Measure from the smallest size up until the knee, the memory limit or the time is reached."""
        deadline = time.perf_counter() + seconds
        timed = [self._parts(self._size) for _ in range(OWN)]
        self.passes = self._typical(timed)
        own = min(map(sum, timed))
        overhead = max(self._step_seconds / self._accumulation - own, 0.0)
        best, stale = 0.0, 0
        for size in sorted({2**i for i in range(LARGEST.bit_length())} | {self._size}):
            if time.perf_counter() > deadline:
                self.stopped = "time"
                return
            if not self._room_for(size):
                self.stopped = "memory"
                return
            try:
                rate = self._measure(size, overhead, deadline)
            except torch.OutOfMemoryError:
                self.stopped = "memory"
                return
            except Exception:
                if size < self._size:
                    continue  # a single sample is none for batch norm
                raise
            faster = rate > best * GAIN
            best, stale = max(best, rate), 0 if faster else stale + 1
            if stale >= 3 and size > self._size:
                self.stopped = "knee"
                return
        self.stopped = "range"

    def _measure(self, size: int, overhead: float, deadline: float) -> float:
        self._time(size)
        rates = []
        for repeat in range(REPEATS):
            device.reset_peak()
            rates.append(size / (self._time(size) + overhead))
            self.points.append(Point(size, repeat, rates[-1], device.peak_bytes()))
            if time.perf_counter() > deadline:
                break
        return sorted(rates)[len(rates) // 2]

    def _time(self, size: int) -> float:
        return sum(self._parts(size))

    def _parts(self, size: int) -> tuple[float, float]:
        """Seconds of forward and of backward, all models together."""
        forward = total = 0.0
        for module, (args, kwargs) in self._calls:
            inputs = tree_map(_resizer(self._size, size), (args, kwargs))
            device.synchronize()
            start = time.perf_counter()
            turned = _forward_backward(module, *inputs)
            device.synchronize()
            total += time.perf_counter() - start
            forward += turned - start
        return forward, total - forward

    def _typical(self, timed: list[tuple[float, float]]) -> dict[str, float]:
        """The quickest of the repeats after the first, which pays for what is set up once."""
        forward, backward = min(timed[1:], key=sum)
        return {
            "forward_seconds": forward * self._accumulation,
            "backward_seconds": backward * self._accumulation,
            "step_seconds": self._step_seconds,
        }

    def _room_for(self, size: int) -> bool:
        """60 % of the free memory is the limit; peak memory grows at most in proportion to the size.

        On the CPU, whose memory others use too: a fifth of what the process has taken so far, in addition.
        """
        free = device.free_bytes()
        resident = device.peak_resident_bytes()
        if free is None and resident is not None:
            return self._output_bytes * (size / self._size - 1) < CPU_SHARE * resident
        measured = [p for p in self.points if p.peak is not None]
        if free is None or not measured:
            return True
        last = max(measured, key=lambda p: p.size)
        return (last.peak or 0.0) * size / last.size < 0.6 * free


def measure(watch: Watch, room: Room) -> None:
    """Record the throughput of the model at several batch sizes."""
    every = list(watch.root_inputs.items())
    calls = [(m, c) for m, c in every if watch.modules.top(m) is m] or every
    size = watch.typical_batch()
    if not calls or not size:
        missing = "no model call with a batch was seen"
        watch.writer.put("probe", {"name": "batch-size", "facts": {"missing": missing}})
        return
    probe = BatchSizeProbe(calls, size, room.step_seconds, watch.accumulation(), watch.forward.output_bytes())
    failure = None
    try:
        probe.run(min(room.seconds, max(1.5, 60 * room.step_seconds)))
    except Exception as why:  # noqa: BLE001 - the model's own refusal of a size; it is told as the reason
        failure = f"the model takes no other batch size: {type(why).__name__}"
    for p in probe.points:
        row = {"batch_size": p.size, "repeat": p.repeat, "samples_per_second": p.samples_per_second}
        watch.writer.put("throughput", {**row, "peak_bytes": p.peak})
    facts: dict[str, Any] = {"user_size": size, "stopped": probe.stopped, **probe.passes}
    if failure and len({p.size for p in probe.points}) < 3:
        facts["missing"] = failure
    watch.writer.put("probe", {"name": "batch-size", "facts": facts})


def _forward_backward(module: nn.Module, args: Any, kwargs: Any) -> float:
    """Both passes; the time at which the first was through."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    with torch.enable_grad():
        total = _total(module, args, kwargs)
        device.synchronize()
        turned = time.perf_counter()
        if total is None or not parameters:
            return turned
        try:
            torch.autograd.grad(total, parameters, allow_unused=True)
        except RuntimeError:  # reentrant checkpoints only know backward; the caller puts the gradients back
            again = _total(module, args, kwargs)
            if again is None:
                raise
            torch.autograd.backward([again])
    return turned


def _total(module: nn.Module, args: Any, kwargs: Any) -> torch.Tensor | None:
    output = module(*args, **kwargs)
    tensors = [t for t in tree_leaves(_open(output)) if isinstance(t, torch.Tensor)]
    outputs = [t for t in tensors if t.requires_grad and t.is_floating_point()]
    return torch.stack([each.float().sum() for each in outputs]).sum() if outputs else None


def _open(output: Any) -> Any:
    return dict(output) if hasattr(output, "keys") else output


def _resizer(old: int, new: int) -> Callable[[Any], Any]:
    def resize(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.dim() == 0 or value.shape[0] != old:
            return value
        value = value.detach()
        repeats = -(-new // old)
        return (value.repeat(repeats, *[1] * (value.dim() - 1)) if repeats > 1 else value)[:new]

    return resize
