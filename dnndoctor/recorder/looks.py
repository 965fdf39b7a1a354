"""What a recorded step is looked at for: gradients, updates and weights, activations; each ``Look`` of a few layers.

Figures stay on the device, in one small tensor per look. Samples are taken with an odd stride that is coprime to the
dimensions (see ``observe/sampling.py``); the norm of a gradient is that of all its entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from dnndoctor.recorder.activations import Activations
from dnndoctor.recorder.ear import Ear
from dnndoctor.recorder.look import Declare, Figures, Look, local, norms, plain, strided

PARAMETERS_AT_ONCE, MODULES_AT_ONCE = 64, 32


class Gradients(Look):
    """The l2 norm of every gradient: root mean squares by parameter, and the norm of all together.

    What is frozen now may be trained later: a series begins with the first gradient.
    """

    name = "gradients"

    def __init__(self, named: Sequence[tuple[str, torch.Tensor]], declare: Declare) -> None:
        self._named, self._declare = list(named), declare
        self._series: dict[int, int] = {}
        self._sizes = _Sizes()
        self.norm: torch.Tensor | None = None  # of all, as of the last look
        self.scale: torch.Tensor | None = None  # by which the gradients are too large
        self._figures: Figures | None = None

    def before_step(self) -> None:
        """Take what the step will change or use up."""
        there: list[int] = []
        gradients: list[torch.Tensor] = []
        for index, (_, parameter) in enumerate(self._named):
            grad = None if parameter.grad is None else local(parameter.grad)
            if grad is not None:
                there.append(index)
                gradients.append(grad)
        if not gradients:
            self.norm = self._figures = None
            return
        found = norms(gradients)
        if self.scale is not None:
            found = found / self.scale.to(found.device, non_blocking=True)
        self.norm = torch.linalg.vector_norm(found)
        self._figures = [self._number(index) for index in there], found / self._sizes.of(gradients, found)

    def after_step(self) -> Figures | None:
        """Give what was seen."""
        if self._figures is None:
            self.before_step()  # a closure within the step made the gradients
        return self._figures

    def drop(self) -> None:
        """Forget what was taken."""
        self.norm = self._figures = None

    def _number(self, index: int) -> int:
        if index not in self._series:
            name = self._named[index][0]
            self._series[index] = self._declare(f"gradient of {name}", "gradient", parameter=name, statistic="rms")
        return self._series[index]


class Updates(Look):
    """Of some parameters, how far a step moves them, relative to their norm; and their root mean square."""

    def __init__(self, named: Sequence[tuple[str, torch.Tensor]], declare: Declare, number: int = 0) -> None:
        self.name = f"updates {number}"
        self._named, self._declare = list(named), declare
        self._series: list[int] = []
        self._sizes = _Sizes()
        self._before: list[torch.Tensor] = []

    def before_step(self) -> None:
        """Take what the step will change or use up."""
        self._before = [each.clone() for each in self._samples()]

    def _samples(self) -> list[torch.Tensor]:
        return [strided(plain(each.detach())) for _, each in self._named]

    def after_step(self) -> Figures | None:
        """Give what was seen."""
        before, self._before = self._before, []
        now = self._samples() if before else []
        if not now or any(a.shape != b.shape for a, b in zip(now, before, strict=True)):
            return None
        if not self._series:
            self._series = [
                self._declare(f"update ratio of {name}", "update", parameter=name, statistic="ratio")
                for name, _ in self._named
            ] + [
                self._declare(f"weight of {name}", "weight", parameter=name, statistic="rms") for name, _ in self._named
            ]
        moved, size = norms(list(torch._foreach_sub(now, before))), norms(before)
        return self._series, torch.cat([moved / size, size / self._sizes.of(before, size)])

    def drop(self) -> None:
        """Forget what was taken."""
        self._before = []


class _Sizes:
    """Square roots of the sizes of tensors, kept on the device while they stay the same."""

    def __init__(self) -> None:
        self._known: tuple[list[int], torch.Tensor] | None = None

    def of(self, tensors: Sequence[torch.Tensor], like: torch.Tensor) -> torch.Tensor:
        """[len(tensors)], as ``like`` is."""
        sizes = [max(each.numel(), 1) for each in tensors]
        if self._known is None or self._known[0] != sizes or self._known[1].device != like.device:
            self._known = sizes, torch.tensor(sizes, dtype=like.dtype).sqrt_().to(like.device, non_blocking=True)
        return self._known[1]


def looks_of(
    named: Sequence[tuple[str, torch.Tensor]], modules: Sequence[tuple[str, nn.Module]], declare: Declare
) -> list[Look]:
    """Everything that can be looked at, in portions that a small budget can afford now and then."""
    ear = Ear()
    floating = [(name, each) for name, each in named if _has_values(each)]
    looks: list[Look] = [Gradients(floating, declare)] if floating else []
    looks += [Updates(part, declare, n) for n, part in enumerate(_portions(floating, PARAMETERS_AT_ONCE))]
    looks += [Activations(part, declare, n, ear) for n, part in enumerate(_portions(modules, MODULES_AT_ONCE))]
    return looks


def is_compiled(root: nn.Module) -> bool:
    """Whether a hook inside of it would break compiled code."""
    return any(
        hasattr(each, "_orig_mod") or getattr(each, "_compiled_call_impl", None) is not None for each in root.modules()
    )


def _has_values(tensor: torch.Tensor) -> bool:
    found = local(tensor) if tensor.is_floating_point() else None
    return found is not None and found.numel() > 0


def _portions(items: Sequence[Any], most: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + most] for start in range(0, len(items), most))
