"""Several processes that train one model: what each rank's parameters, batches and times were, step by step.

Nothing here makes ranks wait for each other. Each writes lines to a file of its own beside the recording, as soon as
its process group stands; the examined rank reads all of them and compares.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import Optimizer

from dnndoctor.observe.data import flat_tensors
from dnndoctor.observe.transforms import readable
from dnndoctor.observe.window import Border, Window
from dnndoctor.recording.rank_lines import Line, compare

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch

LAST_STEP = 40
HASHED_STEPS = frozenset((-1, 0, 1, 2, 4, 8, 16, 24, 32, 40))  # -1: before the first step
HASHED_ENTRIES = 1024  # of each tensor, evenly spaced
WRAPPERS = frozenset(("DistributedDataParallel", "FullyShardedDataParallel"))
COLLECTIVES = ("all_reduce", "reduce", "reduce_scatter_tensor", "all_gather", "all_gather_into_tensor")


class Witness:
    """Writes down one rank's first steps; it stays where this process turns out not to be the examined one."""

    def __init__(self, path: str, rank: int, fail: Callable[[Exception], None]) -> None:
        self.wrapped = self.sharded = False
        self.parameters: list[torch.Tensor] = []
        self.depth = 0
        self.rank = rank
        self._path, self._fail = path, fail
        self._step = 0
        self._batch: str | None = None
        self._forward_seconds: float | None = None
        self._ended = time.perf_counter()
        self._handles = [
            register_module_forward_pre_hook(self._shielded(self._before_forward)),
            register_module_forward_hook(self._shielded(self._after_forward), always_call=True),
        ]

    def accompany(self, optimizer: Optimizer) -> None:
        """Hear of its steps; a hook of its own, since the global ones are taken down in the middle of a step."""
        optimizer.register_step_pre_hook(self._shielded(self._before_step))
        optimizer.register_step_post_hook(self._shielded(self._after_step))

    def _shielded(self, look: Callable[..., None]) -> Callable[..., None]:
        def call(*args: Any) -> None:
            try:
                with torch._C.DisableTorchFunction():  # what looking calls is no operation of the model's
                    look(*args)
            except Exception as bug:  # noqa: BLE001 - a bug of ours must not become one of the user's
                self._end()
                self._fail(bug)

        return call

    def _end(self) -> None:
        while self._handles:
            self._handles.pop().remove()

    def _before_forward(self, module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        self.depth += 1
        self.wrapped = self.wrapped or type(module).__name__ in WRAPPERS
        if self.depth == 1 and torch.is_grad_enabled() and self._batch is None:
            tensors = [each for each in flat_tensors(args) if readable(each) and each.numel() > 1]
            self._batch = _digest(tensors[0]) if tensors else None

    def _after_forward(self, *_: Any) -> None:
        self.depth = max(self.depth - 1, 0)
        if self.depth == 0 and torch.is_grad_enabled() and self._forward_seconds is None:
            self._forward_seconds = time.perf_counter() - self._ended

    def _before_step(self, optimizer: Optimizer, *_: Any) -> None:
        if not self.parameters and self._handles:
            self.parameters = [each for group in optimizer.param_groups for each in group["params"]]
            self.sharded = any(hasattr(each, "placements") for each in self.parameters)
            self._write({"step": -1, "hashes": self._hashes()})

    def _after_step(self, optimizer: Optimizer, *_: Any) -> None:
        if not self._handles or optimizer.param_groups[0]["params"][0] is not self.parameters[0]:
            return  # all is written, or it is another optimizer of the same loop
        seconds = time.perf_counter() - self._ended
        line: Line = {"step": self._step, "batch": self._batch, "own": self._forward_seconds, "whole": seconds}
        if self._step in HASHED_STEPS:
            line["hashes"] = self._hashes()
        self._write(line)
        self._step += 1
        self._batch = self._forward_seconds = None
        self._ended = time.perf_counter()
        if self._step > LAST_STEP:
            self._end()

    def _hashes(self) -> list[str]:
        return [] if self.sharded else [_digest(each) for each in self.parameters]

    def _write(self, line: Line) -> None:
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"rank": self.rank, **line}) + "\n")


class Ranks(Window):
    """Watches for a process group; the examined rank's facts compare all of them."""

    name: ClassVar[str] = "ranks"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._witness: Witness | None = None
        self._world = 1
        self._collectives = 0  # called outside of any forward pass

    def install(self, border: Border) -> None:
        """See the process group begin, and count what its ranks exchange by hand."""
        distributed = torch.distributed
        if not distributed.is_available():
            return
        init, begun = distributed.init_process_group, border.shielded(self._begun)

        @functools.wraps(init)
        def init_process_group(*args: Any, **kwargs: Any) -> Any:
            result = init(*args, **kwargs)
            begun()
            return result

        border.patch(distributed, "init_process_group", init_process_group)
        for name in COLLECTIVES:
            border.patch(distributed, name, self._counting(getattr(distributed, name)))

    def _counting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def collective(*args: Any, **kwargs: Any) -> Any:
            if self._witness is not None and self._witness.depth == 0:
                self._collectives += 1
            return original(*args, **kwargs)

        return collective

    def _begun(self) -> None:
        self._world = torch.distributed.get_world_size()
        if self._world > 1 and self._witness is None and self.watch.scratch:
            rank = torch.distributed.get_rank()
            self._witness = Witness(_path(self.watch.scratch, rank), rank, self.watch.fail)

    def optimizer_built(self, optimizer: Optimizer, _location: Location | None) -> None:
        """Its steps are the ones that are compared."""
        if self._witness is not None:
            self._witness.accompany(optimizer)

    def facts(self) -> dict[str, Any] | None:
        """What the ranks' files say together; None in a world of one."""
        witness = self._witness
        if witness is None:
            return None
        lines = {rank: _read(_path(self.watch.scratch, rank)) for rank in range(self._world)}
        names = [self.watch.forward.parameter_names.get(id(each), "") for each in witness.parameters]
        return {
            "world": self._world,
            "examined": witness.rank,
            "wrapped": witness.wrapped,
            "sharded": witness.sharded,
            "collectives": self._collectives,
            **compare(lines, names),
        }


def _path(scratch: str, rank: int) -> str:
    return os.path.join(scratch, f"rank-{rank}.jsonl")


def _read(path: str) -> list[Line]:
    """The whole lines of a file that may be written to just now."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError:
        return []
    return [json.loads(line) for line in text.split("\n")[:-1]]


def _digest(tensor: torch.Tensor) -> str:
    """Of evenly spaced entries, bit for bit."""
    flat = tensor.detach().reshape(-1)
    sample = flat[:: max(flat.numel() // HASHED_ENTRIES, 1)][:HASHED_ENTRIES].contiguous().cpu()
    return hashlib.blake2b(sample.view(torch.uint8).numpy().tobytes(), digest_size=8).hexdigest()
