"""What a recorded step is looked at for: gradients, updates and weights, activations; each ``Look`` of a few layers.

Figures stay on the device, in one small tensor per look. Samples are taken with an odd stride that is coprime to the
dimensions (see ``observe/sampling.py``); the norm of a gradient is that of all its entries.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from dnndoctor.observe import sampling
from dnndoctor.observe.data import flat_tensors
from dnndoctor.observe.transforms import readable

SAMPLE = 1024
ROWS, UNITS = 64, 256
PARAMETERS_AT_ONCE, MODULES_AT_ONCE = 64, 32
FORGETS_AFTER = 32  # looks, after which a unit that was active once may count as silent again
ZERO_SIDED = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Threshold)
_NO_LAYERS = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.Flatten, nn.Unflatten)

Declare = Callable[..., int]  # Store.series
Figures = tuple[list[int], torch.Tensor]  # numbers of series, and a value for each


class Look:
    """One thing that is looked at together, in the steps that can afford it."""

    name = ""
    seconds = 0.0  # spent in hooks of its own since it was asked last

    def before_forward(self) -> None:
        """The step begins."""

    def before_step(self) -> None:
        """The gradients are there."""

    def after_step(self) -> Figures | None:
        """The optimizer has stepped; gives what was seen."""
        return None

    def drop(self) -> None:
        """The step ended otherwise, or recording does."""


class Gradients(Look):
    """The l2 norm of every gradient: root mean squares by parameter, and the norm of all together."""

    name = "gradients"

    def __init__(self, named: Sequence[tuple[str, torch.Tensor]], declare: Declare) -> None:
        self._named = [(name, each) for name, each in named if each.requires_grad]
        self._series = [
            declare(f"gradient of {name}", "gradient", parameter=name, statistic="rms") for name, _ in self._named
        ]
        self.norm: torch.Tensor | None = None  # of all, as of the last look
        self._figures: Figures | None = None

    def before_step(self) -> None:
        """Take what the step will change or use up."""
        there, gradients = [], []
        for number, (_, parameter) in zip(self._series, self._named, strict=True):
            grad = parameter.grad
            if grad is not None and readable(grad):
                there.append((number, max(grad.numel(), 1)))
                gradients.append(_plain(grad))
        if not gradients:
            self.norm = self._figures = None
            return
        norms = _norms(gradients)
        self.norm = torch.linalg.vector_norm(norms)
        sizes = torch.tensor([size for _, size in there], dtype=norms.dtype).sqrt_().to(norms.device, non_blocking=True)
        self._figures = [number for number, _ in there], norms / sizes

    def after_step(self) -> Figures | None:
        """Give what was seen."""
        return self._figures

    def drop(self) -> None:
        """Forget what was taken."""
        self.norm = self._figures = None


class Updates(Look):
    """Of some parameters, how far a step moves them, relative to their norm; and their root mean square."""

    def __init__(self, named: Sequence[tuple[str, torch.Tensor]], declare: Declare, number: int = 0) -> None:
        self.name = f"updates {number}"
        self._named = list(named)
        self._series = [
            declare(f"update ratio of {name}", "update", parameter=name, statistic="ratio") for name, _ in named
        ] + [declare(f"weight of {name}", "weight", parameter=name, statistic="rms") for name, _ in named]
        self._before: list[torch.Tensor] = []

    def before_step(self) -> None:
        """Take what the step will change or use up."""
        self._before = [_sample(each).clone() for _, each in self._named]

    def after_step(self) -> Figures | None:
        """Give what was seen."""
        if not self._before:
            return None
        now = [_sample(each) for _, each in self._named]
        moved = _norms(torch._foreach_sub(now, self._before))
        size = _norms(self._before)
        counts = torch.tensor([max(each.numel(), 1) for each in now], dtype=size.dtype).sqrt_()
        self._before = []
        return self._series, torch.cat([moved / size, size / counts.to(size.device, non_blocking=True)])

    def drop(self) -> None:
        """Forget what was taken."""
        self._before = []


class Activations(Look):
    """Of some leaf modules, what they put out in the first forward pass of the step."""

    STATISTICS = ("mean", "std", "zero share")

    def __init__(self, named: Sequence[tuple[str, nn.Module]], declare: Declare, number: int = 0) -> None:
        self.name = f"activations {number}"
        self._named, self._declare = list(named), declare
        self._series: dict[str, list[int]] = {}
        self._handles: list[Any] = []
        self._seen: dict[str, torch.Tensor] = {}
        self._active: dict[str, list[Any]] = {}
        self._broken: Exception | None = None

    def before_forward(self) -> None:
        """Hang hooks for this step."""
        self._seen = {}
        self._handles = [each.register_forward_hook(self._hook(name)) for name, each in self._named]

    def _hook(self, name: str) -> Callable[..., None]:
        def look(module: nn.Module, _args: Any, output: Any) -> None:
            if self._broken or name in self._seen or not torch.is_grad_enabled():
                return
            began = time.perf_counter()
            try:
                with torch.no_grad(), torch._C.DisableTorchFunction():
                    found = flat_tensors(output)[:1]
                    if found and found[0].is_floating_point() and readable(found[0]) and found[0].numel():
                        self._seen[name] = self._figures(name, module, found[0])
            except Exception as bug:  # noqa: BLE001 - it is raised where the recorder expects it, not in the forward pass
                self._broken = bug
            self.seconds += time.perf_counter() - began

        return look

    def _figures(self, name: str, module: nn.Module, output: torch.Tensor) -> torch.Tensor:
        sample = _sample(output).float()
        std, mean = torch.std_mean(sample, correction=0)
        figures = [mean, std, (sample == 0).float().mean()]
        if isinstance(module, nn.Sigmoid):
            figures.append((sample * (1 - sample) < 0.05 * 0.25).float().mean())
        elif isinstance(module, nn.Tanh):
            figures.append((1 - sample * sample < 0.05).float().mean())
        elif isinstance(module, ZERO_SIDED):
            figures.append(self._dead_share(name, output))
        return torch.stack(figures)

    def _dead_share(self, name: str, output: torch.Tensor) -> torch.Tensor:
        """Share of units that no sample of the last looks made active."""
        rows = sampling.unit_sample(output, channels_second=output.dim() > 3)
        rows = rows[:: sampling.stride_for(rows.shape[0], ROWS)]
        active = (rows != 0).any(dim=0)
        older, newer, count = self._active.get(name) or [active, active, 0]
        if older.shape != active.shape:
            older, newer, count = active, active, 0
        newer = newer | active
        silent: torch.Tensor = 1 - (older | newer).float().mean()
        self._active[name] = [newer, active, 0] if count >= FORGETS_AFTER else [older, newer, count + 1]
        return silent

    def after_step(self) -> Figures | None:
        """Give what was seen."""
        self._unhook()
        if self._broken is not None:
            raise self._broken
        if not self._seen:
            return None
        modules = dict(self._named)
        numbers = [number for name in self._seen for number in self._numbers(name, modules[name])]
        figures = list(self._seen.values())
        self._seen = {}
        return numbers, torch.cat([each.to(figures[0].device) for each in figures])

    def _numbers(self, name: str, module: nn.Module) -> list[int]:
        if name not in self._series:
            kinds = list(self.STATISTICS)
            if isinstance(module, (nn.Sigmoid, nn.Tanh)):
                kinds.append("saturated share")
            elif isinstance(module, ZERO_SIDED):
                kinds.append("dead share")
            facts = {"module": name, "class": type(module).__name__}
            self._series[name] = [
                self._declare(f"{kind} of {name}", "activation", statistic=kind, **facts) for kind in kinds
            ]
        return self._series[name]

    def drop(self) -> None:
        """Forget what was taken."""
        self._unhook()
        self._seen = {}

    def _unhook(self) -> None:
        while self._handles:
            self._handles.pop().remove()


def looks_of(
    named: Sequence[tuple[str, torch.Tensor]], modules: Sequence[tuple[str, nn.Module]], declare: Declare
) -> list[Look]:
    """Everything that can be looked at, in portions that a small budget can afford now and then."""
    floating = [(name, each) for name, each in named if each.is_floating_point() and readable(each) and each.numel()]
    looks: list[Look] = [Gradients(floating, declare)] if floating else []
    looks += [Updates(part, declare, n) for n, part in enumerate(_portions(floating, PARAMETERS_AT_ONCE))]
    looks += [Activations(part, declare, n) for n, part in enumerate(_portions(modules, MODULES_AT_ONCE))]
    return looks


def leaves(root: nn.Module) -> list[tuple[str, nn.Module]]:
    """The modules whose outputs are worth a look: those without children, layers and activation functions."""
    return [
        (name or type(each).__name__, each)
        for name, each in root.named_modules()
        if not any(True for _ in each.children()) and not isinstance(each, (*_NO_LAYERS, torch.jit.ScriptModule))
    ]


def is_compiled(root: nn.Module) -> bool:
    """Whether a hook inside of it would break compiled code."""
    return any(
        hasattr(each, "_orig_mod") or getattr(each, "_compiled_call_impl", None) is not None for each in root.modules()
    )


def _portions(items: Sequence[Any], most: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + most] for start in range(0, len(items), most))


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    return sampling.flat_sample(_plain(tensor.detach()), SAMPLE)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """The part that lies on this rank, dense."""
    local = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return local.coalesce().values() if local.is_sparse else local


def _norms(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Their l2 norms as one tensor on the device of the first, [len(tensors)], in float32 or wider."""
    wide = [each if each.dtype in (torch.float32, torch.float64) else each.float() for each in tensors]
    found = torch._foreach_norm(wide)
    return torch.stack([each.to(found[0].device, torch.float32) for each in found])
