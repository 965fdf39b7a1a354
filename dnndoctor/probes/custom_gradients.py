"""Checks the backward pass of the user's own autograd functions against finite differences in float64.

Single entries of the inputs are moved, so that entries where the function is flat (a rounding, a clamp) are told
apart from those where a slope is there and the backward pass gives another.
"""

from __future__ import annotations

import dis
import time
from typing import Any

import torch

from dnndoctor.findings import Location
from dnndoctor.observe.custom_functions import Applied, CustomFunctions
from dnndoctor.observe.source import relative
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.room import Room

MOVED = 24  # entries per input
STEP = 1e-6
AGREEING = 1e-3  # relative difference that rounding and curvature explain
FLAT = 1e-6  # a slope below this share of the largest is none


def measure(watch: Watch, room: Room) -> None:
    """Write for each function how many entries were compared and how many differ."""
    window = next((each for each in watch.windows.all if isinstance(each, CustomFunctions)), None)
    deadline = room.deadline
    applied = list(window.applied.items()) if window is not None else []
    found = []
    for cls, each in applied:
        facts = {"name": cls.__name__, "location": each.location, "calls": each.calls, "defined": _backward(cls)}
        if time.perf_counter() > deadline:
            found.append({**facts, "missing": "the time was up"})
        elif each.args is None:
            found.append({**facts, "missing": each.reason})
        else:
            found.append({**facts, **_checked(each, deadline)})
    watch.writer.put("probe", {"name": "custom-gradients", "facts": {"functions": found}})


def _checked(each: Applied, deadline: float) -> dict[str, Any]:
    try:
        with torch.random.fork_rng(), torch.enable_grad():
            return _compared(each, deadline)
    except Exception as why:  # noqa: BLE001 - the function's own refusal, of float64 mostly, is told as the reason
        return {"missing": f"it failed in float64 with {type(why).__name__}"}


def _compared(each: Applied, deadline: float) -> dict[str, Any]:
    assert each.args is not None
    args = [_wide(value) for value in each.args]
    kwargs = {key: _wide(value) for key, value in each.kwargs.items()}
    moved = [a for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor) and a.requires_grad]

    def value() -> list[torch.Tensor]:
        torch.manual_seed(0)
        result = each.function.apply(*args, **kwargs)  # type: ignore[no-untyped-call]
        outputs = [result] if isinstance(result, torch.Tensor) else [r for r in result if isinstance(r, torch.Tensor)]
        return [one for one in outputs if one.is_floating_point()]

    outputs = value()
    ways = [torch.randn_like(one) for one in outputs]  # one direction through all outputs
    if any(not torch.equal(one, other) for one, other in zip(outputs, value(), strict=True)):
        return {"missing": "it gives another result for the same input"}
    if all(one.dtype is not torch.float64 for one in outputs):
        return {"missing": "it does not compute in float64"}
    differentiable = [(one, way) for one, way in zip(outputs, ways, strict=True) if one.requires_grad]
    if not differentiable:
        return {"missing": "no output of it has a gradient"}
    total = sum((one * way).sum() for one, way in differentiable)
    gradients = torch.autograd.grad(total, moved, allow_unused=True)  # type: ignore[arg-type]
    analytic: list[float] = []
    numeric: list[float] = []
    generator = torch.Generator().manual_seed(0)
    for tensor, gradient in zip(moved, gradients, strict=True):
        if gradient is None or not tensor.numel():
            continue  # left out on purpose, as for an argument that is a constant
        for index in torch.randperm(tensor.numel(), generator=generator)[:MOVED].tolist():
            if time.perf_counter() > deadline:
                break
            analytic.append(float(gradient.reshape(-1)[index]))
            numeric.append(_slope(tensor, index, value, ways))
    return _judged(analytic, numeric) | {"identity": _identity(outputs, moved)}


def _slope(tensor: torch.Tensor, index: int, value: Any, ways: list[torch.Tensor]) -> float:
    entry = tensor.detach().view(-1)
    kept = float(entry[index])
    step = STEP * max(abs(kept), 1.0)
    sums = []
    with torch.no_grad():
        for sign in (1, -1):
            entry[index] = kept + sign * step
            sums.append(sum(float((one * way).sum()) for one, way in zip(value(), ways, strict=True)))
        entry[index] = kept
    return (sums[0] - sums[1]) / (2 * step)


def _judged(analytic: list[float], numeric: list[float]) -> dict[str, Any]:
    """``surrogate``: flat entries with a gradient; ``sloped``: entries where the function has a slope; ``wrong``: of
    these, the ones with another gradient; ``ratio``: that gradient over the slope, their median."""
    largest = max((abs(each) for each in numeric), default=0.0)
    pairs = [(a, n) for a, n in zip(analytic, numeric, strict=True) if abs(n) > max(FLAT * largest, 1e-9)]
    wrong = [(a, n) for a, n in pairs if abs(a - n) > AGREEING * max(abs(a), abs(n), FLAT * largest)]
    ratios = sorted(a / n for a, n in wrong)
    flat = [a for a, n in zip(analytic, numeric, strict=True) if abs(n) <= max(FLAT * largest, 1e-9)]
    return {
        "compared": len(numeric),
        "surrogate": sum(abs(each) > 1e-9 for each in flat),
        "sloped": len(pairs),
        "wrong": len(wrong),
        "ratio": ratios[len(ratios) // 2] if ratios else None,
        "spread": ratios[-1] - ratios[0] if ratios else None,
    }


def _identity(outputs: list[torch.Tensor], inputs: list[torch.Tensor]) -> bool:
    """It hands its input on, so that what its backward pass does is meant: a reversal, a scale, a clip."""
    return any(
        one.numel() == given.numel() and torch.allclose(one.detach().reshape(-1), given.detach().reshape(-1))
        for one in outputs
        for given in inputs
        if given.numel()
    )


def _backward(cls: type) -> Location | None:
    """The line of what its backward pass returns last."""
    code = getattr(getattr(cls, "backward", None), "__code__", None)
    if code is None:
        return None
    returns = [each.positions for each in dis.get_instructions(code) if each.opname.startswith("RETURN_")]
    lines = [each.lineno for each in returns if each is not None and each.lineno]
    return Location(relative(code.co_filename), lines[-1] if lines else code.co_firstlineno, 1)


def _wide(value: Any) -> Any:
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return value
    return value.detach().double().contiguous().clone().requires_grad_(value.requires_grad)
