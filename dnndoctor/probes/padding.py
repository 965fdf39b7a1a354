"""Padded dimensions: the heavy linear layers and convolutions timed as they are, and with sizes rounded up.

Each is timed by itself, forward and backward, on random numbers of the shapes that the model's own passes had; nothing
of the model's is called. The variants take turns, so that what else the machine does meets all of them alike.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from dnndoctor.observe import device
from dnndoctor.observe.forward import Operation
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.room import Room

MULTIPLES = (8, 64)
SMALLEST = 64  # below it a tile idles anyway
CLASSES = 1000  # a wider output is a vocabulary
SHARE = 0.05  # of the multiply-adds
MOST_LAYERS = 4
REPEATS = 9
RUN_SECONDS = 2e-3  # of one repeat: as many calls as it takes
MOST_ENTRIES = 1 << 28


@dataclass(frozen=True)
class Heavy:
    """A layer with a size that could be rounded up: which of its two sizes are free to be."""

    operation: Operation
    weight: torch.Tensor
    module: nn.Module
    share: float
    free: tuple[bool, bool]

    @property
    def sizes(self) -> tuple[int, int]:
        """Features or channels, in and out."""
        return int(self.weight.shape[1]), int(self.weight.shape[0])

    def padded(self, multiple: int) -> tuple[int, int]:
        """The same with the free sizes rounded up."""
        inputs, outputs = (
            size + -size % multiple if free and size >= SMALLEST else size
            for size, free in zip(self.sizes, self.free, strict=True)
        )
        return inputs, outputs


def measure(watch: Watch, room: Room) -> None:
    """Record the seconds of each heavy layer with an odd size, as it is and padded."""
    heavy = [each for each in _heavy(watch) if each.padded(8) != each.sizes]
    rows, deadline = [], room.deadline
    for each in heavy[:MOST_LAYERS]:
        if time.perf_counter() > deadline:
            break
        variants = list(dict.fromkeys([each.sizes, *(each.padded(m) for m in MULTIPLES)]))
        seconds = _timed([_call(each, *sizes) for sizes in variants], deadline)
        if seconds:
            rows.append(
                {
                    "layer": watch.modules.path(each.module),
                    "share": each.share,
                    "variants": [
                        {"sizes": sizes, "seconds": own} for sizes, own in zip(variants, seconds, strict=True)
                    ],
                }
            )
    facts: dict[str, Any] = {"layers": rows, "step_seconds": room.step_seconds, "odd": len(heavy)}
    if heavy and not rows:
        facts["missing"] = "there was no time for it"
    watch.writer.put("probe", {"name": "padded-dimensions", "facts": facts})


def _heavy(watch: Watch) -> list[Heavy]:
    """Plain linear layers and convolutions with a share in the multiply-adds, the heaviest first."""
    tensors: dict[str, tuple[nn.Module, torch.Tensor]] = {
        name: (module, p) for name, _, module, p in watch.modules.named_parameters()
    }
    made = watch.forward.operations
    layers: dict[str, tuple[Operation, nn.Module, torch.Tensor, float]] = {}
    for one in made:
        name = next((p for p in one.parameters if p in tensors and tensors[p][1].dim() > 1), None)
        if name is None or name in layers or not one.name.startswith(("linear", "conv")):
            continue
        module, weight = tensors[name]
        layers[name] = (one, module, weight, math.prod(one.shape) * weight[0].numel())
    total = sum(each[3] for each in layers.values()) or 1.0
    weighted = {one.index for one, *_ in layers.values()}
    before, after = _reached(made, weighted)
    found = []
    for one, module, weight, flops in layers.values():
        plain = isinstance(module, nn.Linear) or (
            isinstance(module, (nn.Conv1d, nn.Conv2d)) and module.groups == 1 and isinstance(module.padding, tuple)
        )
        if plain and flops / total > SHARE and len(one.input_shape) > 1:
            free = (one.index in before, one.index in after or weight.shape[0] > CLASSES)
            found.append(Heavy(one, weight, module, flops / total, free))
    return sorted(found, key=lambda each: -each.share)


def _reached(made: list[Operation], weighted: set[int]) -> tuple[set[int], set[int]]:
    """The layers that another layer feeds, and those that feed another one."""
    sources: dict[int, set[int]] = {}  # the last layers on the way to each operation
    before, after = set[int](), set[int]()
    for one in made:
        behind = {s for i in one.inputs if i < one.index for s in ({i} if i in weighted else sources.get(i, set()))}
        sources[one.index] = behind
        if one.index in weighted and behind:
            before.add(one.index)
            after |= behind
    return before, after


def _call(layer: Heavy, inputs: int, outputs: int) -> Callable[[], None]:
    """One forward and backward pass of a layer of these sizes, on random numbers."""
    shape, weight, module = list(layer.operation.input_shape), layer.weight, layer.module
    shape[1 if isinstance(module, (nn.Conv1d, nn.Conv2d)) else -1] = inputs
    if math.prod(shape) > MOST_ENTRIES:
        raise ValueError(f"its input of {math.prod(shape)} entries is too large")
    made: dict[str, Any] = {"device": weight.device, "dtype": weight.dtype, "requires_grad": True}
    x, w = torch.randn(shape, **made), torch.randn(outputs, inputs, *weight.shape[2:], **made)

    def forward() -> torch.Tensor:
        if isinstance(module, nn.Conv2d):
            return functional.conv2d(x, w, None, module.stride, module.padding, module.dilation)
        if isinstance(module, nn.Conv1d):
            return functional.conv1d(x, w, None, module.stride, module.padding, module.dilation)
        return functional.linear(x, w)

    with torch.no_grad():
        gradient = torch.randn_like(forward())

    def call() -> None:
        with torch.enable_grad():
            torch.autograd.grad(forward(), (x, w), gradient)

    return call


def _timed(calls: list[Callable[[], None]], deadline: float) -> list[list[float]]:
    """Seconds per call of each, in turns; nothing if not even three turns were possible."""
    for call in calls:
        call()
    device.synchronize()
    start = time.perf_counter()
    calls[0]()
    device.synchronize()
    times = max(round(RUN_SECONDS / max(time.perf_counter() - start, 1e-7)), 1)
    found: list[list[float]] = [[] for _ in calls]
    for turn in range(REPEATS):
        if turn >= 3 and time.perf_counter() > deadline:
            break
        for seconds, call in zip(found, calls, strict=True):
            start = time.perf_counter()
            for _ in range(times):
                call()
            device.synchronize()
            seconds.append((time.perf_counter() - start) / times)
    return found
