"""Mixed precision and compilation: what either would bring, on the model's recorded inputs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from dnndoctor.observe import device
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.batch_size import _forward_backward
from dnndoctor.probes.quiet_call import Call, calls_of
from dnndoctor.probes.room import Room

REPEATS = 7
WARM_UP = 3


def measure_mixed(watch: Watch, room: Room) -> None:
    """Record the time of forward and backward as they are and under autocast, on an accelerator with tensor cores."""
    watch.writer.put("probe", {"name": "mixed-precision", "facts": _mixed(watch, room)})


def _mixed(watch: Watch, room: Room) -> dict[str, Any]:
    calls = calls_of(watch, 1)
    if not calls or next(calls[0][0].parameters()).device.type != "cuda":
        return {"missing": "the model is on no accelerator"}
    module, call = calls[0]
    half = any(p.dtype in (torch.float16, torch.bfloat16) for p in module.parameters())
    facts: dict[str, Any] = {
        "tensor_cores": device.has_tensor_cores(),
        "half": half or any(window.name == "half-precision" and window.facts() for window in watch.windows.all),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
    }
    if facts["half"] or facts["tf32"] or not facts["tensor_cores"]:
        return facts
    kind = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16

    def mixed() -> None:
        with torch.autocast("cuda", kind):
            _forward_backward(module, *call)

    plain, faster = _paired(lambda: _forward_backward(module, *call), mixed, room.seconds)
    return {**facts, "seconds": plain, "mixed_seconds": faster, "kind": str(kind).removeprefix("torch.")}


def measure_compiled(watch: Watch, room: Room) -> None:
    """Record the time of forward and backward as they are and compiled."""
    calls = calls_of(watch, 1)
    if not calls:
        facts: dict[str, Any] = {"missing": "no call of a model was seen"}
    else:
        facts = _compiled(*calls[0], room)
    watch.writer.put("probe", {"name": "compile", "facts": facts})


def _compiled(module: nn.Module, call: Call, room: Room) -> dict[str, Any]:
    if hasattr(module, "_orig_mod"):
        return {"compiled": True}
    stance = getattr(torch.compiler, "set_stance", None)
    if stance is None:
        return {"missing": "this version of torch cannot be asked to compile for a while"}
    with stance("default"):  # our own examination runs eagerly
        began = time.perf_counter()
        compiled: Any = torch.compile(module)
        _forward_backward(compiled, *call)
        took = time.perf_counter() - began
        plain, faster = _paired(
            lambda: _forward_backward(module, *call), lambda: _forward_backward(compiled, *call), room.seconds
        )
    return {"seconds": plain, "compiled_seconds": faster, "compile_seconds": took, "compiled": False}


def _paired(one: Callable[[], object], other: Callable[[], object], seconds: float) -> tuple[float, float]:
    """The median time of each, in turns."""
    deadline = time.perf_counter() + seconds
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(WARM_UP + REPEATS):
        for run, times in zip((one, other), found, strict=True):
            device.synchronize()
            began = time.perf_counter()
            run()
            device.synchronize()
            if number >= WARM_UP:
                times.append(time.perf_counter() - began)
        if number > WARM_UP and time.perf_counter() > deadline:
            break
    return sorted(found[0])[len(found[0]) // 2], sorted(found[1])[len(found[1]) // 2]
