"""Several processes that train one model: each writes down, at steps that are the same for all, what must agree.

Nothing here makes ranks wait for each other, or says a word to them: the recordings are compared afterwards
(``recording/rank_lines.py``). What is hashed on an accelerator is fetched a step or more later.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch._compile import _disable_dynamo
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from dnndoctor.observe.data import flat_tensors
from dnndoctor.observe.transforms import readable
from dnndoctor.recorder.looks import is_compiled
from dnndoctor.subject.installed import Installed

if TYPE_CHECKING:
    from dnndoctor.recorder.recorder import Recorder

FIRST = 16  # steps that are all looked at
SPACING = ((1_000, 100_000), (10_000, 1_000_000), (100_000, 10**12))  # so far apart, up to that step
HASHED_ENTRIES = 1024  # of each tensor, evenly spaced
MOST_PARAMETERS = 2_000
WRAPPERS = frozenset(("DistributedDataParallel", "FullyShardedDataParallel"))
SHARDING = frozenset(("FullyShardedDataParallel",))

Line = dict[str, Any]


def rank_and_world() -> tuple[int, int]:
    """The rank of this process, and of how many: as torch.distributed has it, else as its launcher says."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    rank, world = (os.environ.get(each, "") for each in ("RANK", "WORLD_SIZE"))  # as torchrun sets them
    return (int(rank), int(world)) if rank.isdigit() and world.isdigit() else (0, 1)


def is_compared(step: int) -> bool:
    """Whether all ranks look at this step: the first ones, powers of two, and ever rarer ones."""
    if step <= FIRST or not step & (step - 1):
        return True
    spacing = next(apart for apart, until in SPACING if step < until)
    return step % spacing == 0


class Witness:
    """One rank's account. Begins within the first step, before it changes anything."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder, self._store = recorder, recorder.store
        assert recorder.lead is not None
        self._parameters = [each for group in recorder.lead.param_groups for each in group["params"]]
        self._parameters = self._parameters[:MOST_PARAMETERS]
        self._step = 0
        self._followed = True  # the step that runs, by hooks that were hung as it began
        self._hooks: Installed | None = None
        self._depth = 0
        self._batch: str | None = None
        self._forward: float | None = None
        self._ended = 0.0
        self._exchanges = _exchanges()
        self._sharded = any(hasattr(each, "placements") for each in self._parameters)
        self._pending: list[tuple[Line, list[_Sums]]] = []
        self._write({"step": -1}, hashed=True)

        @_disable_dynamo  # an optimizer's step that is compiled would have what its hooks do compiled with it
        def after(optimizer: Optimizer, *_: Any) -> None:
            self._stepped(optimizer)

        register_optimizer_step_post_hook(after)

    # the borders of a step

    def _stepped(self, optimizer: Optimizer, *_: Any) -> None:
        recorder = self._recorder
        if optimizer is not recorder.lead:
            return
        if recorder.closed or recorder.failure is not None:
            self._close_hooks()  # but not the one of steps, which runs now
            return
        step, self._step = self._step, self._step + 1
        if not self._followed and not is_compared(step + 1):
            return
        began = time.perf_counter()
        try:
            with torch.no_grad(), torch._C.DisableTorchFunction():
                self._look(step, began)
        except Exception as bug:  # noqa: BLE001 - it is told in the report
            recorder.fail(bug)
        self._ended = time.perf_counter()
        recorder.meter.add("ranks", self._ended - began)

    def _look(self, step: int, now: float) -> None:
        self._deliver()
        if is_compared(step):
            line: Line = {"step": step, "batch": self._batch, "own": self._forward}
            if self._ended:  # the whole step, from the end of the one before
                line |= {"whole": now - self._ended, "exchanged": _exchanges() > self._exchanges}
            self._write(line, hashed=step < 2 or not step & (step - 1) or step > FIRST)
        if step == 0 or not step & (step - 1):
            self._tell_of_model()
        self._batch = self._forward = None
        self._exchanges = _exchanges()
        self._followed = is_compared(step + 1)
        if self._followed:
            self._open_hooks()
        else:
            self._close_hooks()

    def _write(self, line: Line, *, hashed: bool) -> None:
        tensors = self._parameters if hashed and not self._sharded else []
        on_host = [each for each in tensors if each.device.type == "cpu"]
        if len(on_host) == len(tensors):
            if tensors:
                line["hashes"] = [_digest(each) for each in tensors]
            self._put(line)
        else:
            self._pending.append((line, [_Sums(tensors)]))

    def _put(self, line: Line) -> None:
        self._store.put("rank", [{"step": line["step"], "facts": {k: v for k, v in line.items() if k != "step"}}])

    def _deliver(self) -> None:
        """Write what has arrived from the accelerator."""
        while self._pending and all(each.arrived() for each in self._pending[0][1]):
            line, [sums] = self._pending.pop(0)
            self._put({**line, "hashes": sums.hashes()})

    def _tell_of_model(self) -> None:
        modules = [each for root in self._recorder.roots for each in root.modules()]
        kinds = {type(each).__name__ for each in modules}
        self._sharded = self._sharded or bool(kinds & SHARDING)
        names = {id(parameter): name for name, parameter in self._recorder.named}
        known = self._recorder.known
        self._store.run(
            ranks={
                "model": next((place for each in modules if (place := known.place(each))), None),
                "data": known.iterated,
                "parameters": [names.get(id(each), "") for each in self._parameters],
                "wrapped": bool(kinds & WRAPPERS),
                "sharded": self._sharded,
            }
        )

    # within a step: its batch, and the time until the end of its forward pass

    def _open_hooks(self) -> None:
        compiled = any(is_compiled(each) for root in self._recorder.roots for each in root.modules())
        if self._hooks is None and not compiled:  # hooks on all modules would have it compiled again
            self._hooks, self._depth = Installed(), 0
            self._hooks.hold(register_module_forward_pre_hook(self._before_forward))
            self._hooks.hold(register_module_forward_hook(self._after_forward, always_call=True))

    def _close_hooks(self) -> None:
        hooks, self._hooks = self._hooks, None
        if hooks is not None:
            hooks.remove()

    def _before_forward(self, _module: nn.Module, args: tuple[Any, ...]) -> None:
        self._depth += 1
        if self._batch is None and torch.is_grad_enabled():
            with contextlib.suppress(Exception), torch._C.DisableTorchFunction():
                tensors = [each for each in flat_tensors(args) if readable(each) and each.numel() > 1]
                self._batch = _digest(tensors[0]) if tensors and not tensors[0].requires_grad else None

    def _after_forward(self, *_: Any) -> None:
        self._depth = max(self._depth - 1, 0)
        if not self._depth and torch.is_grad_enabled() and self._forward is None and self._ended:
            self._forward = time.perf_counter() - self._ended


class _Sums:
    """Checksums of tensors on an accelerator, on their way to the host."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        device = next(each.device for each in tensors if each.device.type != "cpu")
        joined = torch.stack([_checksum(each).to(device, non_blocking=True) for each in tensors])
        self._host = torch.empty(joined.shape, dtype=joined.dtype, pin_memory=device.type == "cuda")
        self._host.copy_(joined, non_blocking=True)
        self._event = torch.Event(device)
        self._event.record()

    def arrived(self) -> bool:
        return bool(self._event.query())

    def hashes(self) -> list[str]:
        return [f"{each & 0xFFFFFFFFFFFFFFFF:016x}" for each in self._host.tolist()]


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    """Evenly spaced entries, as bytes."""
    flat = tensor.detach().reshape(-1)
    return flat[:: max(flat.numel() // HASHED_ENTRIES, 1)][:HASHED_ENTRIES].contiguous().view(torch.uint8)


def _checksum(tensor: torch.Tensor) -> torch.Tensor:
    """Of the sample's bits, each weighed by its place: [] int64, which wraps around."""
    bits = _sample(tensor).long()
    place = torch.arange(1, len(bits) + 1, device=bits.device)
    return (bits * (place * 0x9E3779B1 + 0x85EBCA6B)).sum()


def _digest(tensor: torch.Tensor) -> str:
    """Of the sample, bit for bit."""
    return hashlib.blake2b(_sample(tensor).cpu().numpy().tobytes(), digest_size=6).hexdigest()


def _exchanges() -> int:
    """How many exchanges this process has begun in the group of all ranks."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0
    try:
        group: Any = distributed.distributed_c10d._get_default_group()
        return int(group._get_sequence_number_for_group())
    except RuntimeError:  # a backend that does not count
        return 0
